package policy

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
)

// Stamp marks a Job that is handled: EnabledLabel on it and, with withTemplate,
// on its pod template; ResultsNameAnnotation unless it is set or the Job has no
// name yet; and the TTL floor (see RaisedTTL) with the original in
// TTLAnnotation, which goes where the user has changed the TTL since. The pod template is immutable once the Job exists, unless the
// Job is suspended and never started. An annotation for which the Job has no room
// left is not written, nor is what it would record: the API server would refuse
// the Job. Stamp reports whether it changed anything; a second call does not.
func Stamp(job *batchv1.Job, floor time.Duration, withTemplate bool, own LeftAlone) (changed bool) {
	changed = set(&job.Labels, api.EnabledLabel, api.True)
	if withTemplate && set(&job.Spec.Template.Labels, api.EnabledLabel, api.True) {
		changed = true
	}
	name := names.Results(job.Name)
	if job.Name != "" && !has(job.Annotations, api.ResultsNameAnnotation) && fits(job.Annotations, api.ResultsNameAnnotation, name) {
		set(&job.Annotations, api.ResultsNameAnnotation, name)
		changed = true
	}
	return stampTTL(job, floor, own) || changed
}

// StripForged removes from a Job that is being created what the manager alone
// writes, and returns the removed keys, sorted. A TTLAnnotation that Stamp
// itself has just written stays, since admission may call more than once for
// one Job.
func StripForged(job *batchv1.Job, floor time.Duration, own LeftAlone) []string {
	var removed []string
	for _, key := range managerKeys() {
		if !has(job.Annotations, key) || key == api.TTLAnnotation && raisedByStamp(job, floor, own) {
			continue
		}
		delete(job.Annotations, key)
		removed = append(removed, key)
	}
	return slices.Sorted(slices.Values(removed))
}

// fits reports whether the annotations have room for one more, with which key is
// not set yet or replaced. What was dropped from a cached Job counts too.
func fits(annotations map[string]string, key, value string) bool {
	size := len(key) + len(value) + DroppedOf(&metav1.ObjectMeta{Annotations: annotations}).AnnotationBytes
	for k, v := range annotations {
		if k != key && k != api.DroppedAnnotation {
			size += len(k) + len(v)
		}
	}
	return size <= validation.TotalAnnotationSizeLimitB
}

func set(m *map[string]string, key, value string) (changed bool) {
	if old, ok := (*m)[key]; ok && old == value {
		return false
	}
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
	return true
}
