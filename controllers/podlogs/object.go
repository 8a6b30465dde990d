package podlogs

import (
	"fmt"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
)

// objectKey is where an object is, or would be, that keeps captures of the Job.
func objectKey(job *batchv1.Job, number int) types.NamespacedName {
	return types.NamespacedName{Namespace: job.Namespace, Name: names.Capture(job.Name, job.UID, number)}
}

// newObject returns values as an immutable object of a kind of results that belongs
// to the Job, and so goes with it.
func newObject(kind string, job *batchv1.Job, key types.NamespacedName, values map[string][]byte) client.Object {
	size := 0
	for _, value := range values {
		size += len(value)
	}
	meta := metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name,
		Labels: map[string]string{
			api.CreatedLabel: api.True, api.CaptureOfLabel: string(job.UID), api.JobNameLabel: names.LabelValue(job.Name),
		},
		Annotations: map[string]string{
			api.SHA256Annotation: results.Digest(nil, values), api.BytesAnnotation: strconv.Itoa(size),
		},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job", Name: job.Name, UID: job.UID,
		}},
	}
	if kind == api.ResultsKindSecret {
		return &corev1.Secret{ObjectMeta: meta, Immutable: new(true), Type: api.SecretType, Data: values}
	}
	return &corev1.ConfigMap{ObjectMeta: meta, Immutable: new(true), BinaryData: values}
}

// valuesOf returns what an object keeps that newObject made for this Job, or what
// is wrong with it: it may be anybody's. Its values are still to be distrusted,
// since whoever may create such objects can make a digest too.
func valuesOf(object client.Object, job *batchv1.Job) (map[string][]byte, error) {
	values, immutable := map[string][]byte{}, false
	switch o := object.(type) {
	case *corev1.Secret:
		if o.Type != api.SecretType {
			return nil, fmt.Errorf("%w: a Secret of type %q", results.ErrStranger, o.Type)
		}
		values, immutable = o.Data, o.Immutable != nil && *o.Immutable
	case *corev1.ConfigMap:
		values, immutable = o.BinaryData, o.Immutable != nil && *o.Immutable
	}
	owned := slices.ContainsFunc(object.GetOwnerReferences(), func(owner metav1.OwnerReference) bool {
		return owner.UID == job.UID && owner.Kind == "Job"
	})
	switch {
	case !immutable:
		return nil, fmt.Errorf("%w: not immutable", results.ErrStranger)
	case object.GetLabels()[api.CreatedLabel] != api.True, object.GetLabels()[api.CaptureOfLabel] != string(job.UID):
		return nil, fmt.Errorf("%w: not labelled %s=%s and %s=%s",
			results.ErrStranger, api.CreatedLabel, api.True, api.CaptureOfLabel, job.UID)
	case !owned:
		return nil, fmt.Errorf("%w: it does not belong to this Job", results.ErrStranger)
	}
	if want, got := object.GetAnnotations()[api.SHA256Annotation], results.Digest(nil, values); want != got {
		return nil, fmt.Errorf("%w: its SHA-256 is %s, not %q as annotated", results.ErrDamaged, got, want)
	}
	return values, nil
}
