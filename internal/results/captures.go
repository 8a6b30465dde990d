package results

import (
	"fmt"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
)

// NewCaptures returns the immutable object, of those numbered from 0, that keeps
// captures of deleted pods of a Job that still runs. The Job owns it, so garbage
// collection deletes it together with the Job.
func NewCaptures(kind string, job *batchv1.Job, number int, values map[string][]byte) *Object {
	size := 0
	for _, value := range values {
		size += len(value)
	}
	o := newObject(kind, metav1.ObjectMeta{
		Namespace: job.Namespace, Name: names.Capture(job.Name, job.UID, number),
		Labels: map[string]string{
			api.CreatedLabel: api.True, api.CaptureOfLabel: string(job.UID), api.JobNameLabel: names.LabelValue(job.Name),
		},
		Annotations: map[string]string{
			api.SHA256Annotation: Digest(nil, values), api.BytesAnnotation: strconv.Itoa(size),
		},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job", Name: job.Name, UID: job.UID,
		}},
	})
	o.BinaryData = values
	return o
}

// Captures returns the values of an object that NewCaptures made for this Job, or
// an error that wraps ErrStranger or ErrDamaged. Do not trust the values: anybody who
// may create such objects can annotate the right digest.
func (o *Object) Captures(job *batchv1.Job) (map[string][]byte, error) {
	if err := o.verifyOurs(); err != nil {
		return nil, err
	}
	if o.Labels[api.CaptureOfLabel] != string(job.UID) {
		return nil, fmt.Errorf("%w: no label %s=%s", ErrStranger, api.CaptureOfLabel, job.UID)
	}
	owned := slices.ContainsFunc(o.OwnerReferences, func(owner metav1.OwnerReference) bool {
		return owner.UID == job.UID && owner.Kind == "Job"
	})
	if !owned {
		return nil, fmt.Errorf("%w: it does not belong to this Job", ErrStranger)
	}
	if err := o.Whole(); err != nil {
		return nil, err
	}
	return o.BinaryData, nil
}
