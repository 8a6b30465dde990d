package retain

import (
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
)

// OrphanAge is for how long a part that nobody lists is left: parts are written
// before the results that list them, which may be retried for a while.
const OrphanAge = time.Hour

// Class is what an object is by its metadata.
type Class string

const (
	// Results is a results object.
	Results Class = "results"
	// Part holds a part of the results of another object.
	Part Class = "part"
	// Captured holds logs of deleted pods of a Job, to which it belongs, until the
	// Job's results are stored.
	Captured Class = "capture"
	// Foreign is everything else: retention leaves it alone. Whatever else has an owner
	// is for garbage collection, whatever its labels say.
	Foreign Class = "foreign"
)

// ClassOf returns what an object is by its labels, annotations and owners.
func ClassOf(object metav1.Object) Class {
	labels := object.GetLabels()
	if labels[api.CreatedLabel] != api.True {
		return Foreign
	}
	if _, is := CaptureOf(object); is {
		return Captured
	}
	if labels[api.JobUIDLabel] == "" || len(object.GetOwnerReferences()) > 0 {
		return Foreign
	}
	_, isPart := labels[api.PartLabel]
	status := labels[api.StatusLabel]
	switch {
	case isPart && object.GetAnnotations()[api.PartOfAnnotation] != "":
		return Part
	case !isPart && (status == api.StatusCompleted || status == api.StatusFailed):
		return Results
	default:
		return Foreign
	}
}

// CaptureOf returns the Job that owns an object which is labelled as captures of it,
// and whether it is one. It is the only owner.
func CaptureOf(object metav1.Object) (job metav1.OwnerReference, is bool) {
	of, owners := object.GetLabels()[api.CaptureOfLabel], object.GetOwnerReferences()
	if of == "" || len(owners) != 1 {
		return metav1.OwnerReference{}, false
	}
	job = owners[0]
	return job, job.APIVersion == "batch/v1" && job.Kind == "Job" && string(job.UID) == of
}

// Expiry returns when results may be deleted, and whether they may be at all.
// The error names what cannot be read; then they may not.
func Expiry(object metav1.Object) (at time.Time, expires bool, err error) {
	value, set := object.GetAnnotations()[api.ExpiresAtAnnotation]
	if !set {
		return time.Time{}, false, nil
	}
	at, err = time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("annotation %s: invalid value %.64q: must be a time such as 2026-11-23T10:00:00Z",
			api.ExpiresAtAnnotation, value)
	}
	return at, true, nil
}

// Expired reports whether an object holds results that may be deleted at now.
func Expired(object metav1.Object, now time.Time) bool {
	at, expires, err := Expiry(object)
	return err == nil && expires && !at.After(now) && ClassOf(object) == Results
}

// Orphanable reports whether an object holds a part that is old enough for an
// orphan at now.
func Orphanable(object metav1.Object, now time.Time) bool {
	return ClassOf(object) == Part && now.Sub(object.GetCreationTimestamp().Time) >= OrphanAge
}

// Bytes returns what an object of ours takes, by its annotation: at least 0, and
// no more than an object can hold.
func Bytes(object metav1.Object) int64 {
	bytes, err := strconv.ParseInt(object.GetAnnotations()[api.BytesAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return max(0, min(bytes, api.MaxResultsBytes))
}

// createdAt returns when results were stored. What cannot be read is as if it
// were not there.
func createdAt(object metav1.Object) time.Time {
	at, err := time.Parse(time.RFC3339, object.GetAnnotations()[api.CreatedAtAnnotation])
	if err != nil {
		return object.GetCreationTimestamp().Time
	}
	return at
}

// Ref is an object in the state in which it was seen.
type Ref struct {
	// Kind is api.ResultsKindConfigMap or api.ResultsKindSecret.
	Kind            string
	Namespace, Name string
	UID             types.UID
	ResourceVersion string
}

// RefOf returns the object as it is.
func RefOf(kind string, object metav1.Object) Ref {
	return Ref{
		Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName(),
		UID: object.GetUID(), ResourceVersion: object.GetResourceVersion(),
	}
}

// String returns kind, namespace and name.
func (r Ref) String() string { return fmt.Sprintf("%s %s/%s", r.Kind, r.Namespace, r.Name) }
