package policy

import (
	"math"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/validation"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
)

// Stamp marks a Job that is handled: EnabledLabel on it and, with withTemplate,
// on its pod template; ResultsNameAnnotation unless it is set or the Job has no
// name yet; and the TTL floor (see RaisedTTL) with the original in
// TTLAnnotation. The pod template is immutable once the Job exists, unless the
// Job is suspended and never started. An annotation for which the Job has no room
// left is not written, nor is what it would record: the API server would refuse
// the Job. Stamp reports whether it changed anything; a second call does not.
func Stamp(job *batchv1.Job, floor time.Duration, withTemplate bool) (changed bool) {
	changed = set(&job.Labels, api.EnabledLabel, api.True)
	if withTemplate && set(&job.Spec.Template.Labels, api.EnabledLabel, api.True) {
		changed = true
	}
	name := names.Results(job.Name)
	if job.Name != "" && !has(job.Annotations, api.ResultsNameAnnotation) && fits(job.Annotations, api.ResultsNameAnnotation, name) {
		set(&job.Annotations, api.ResultsNameAnnotation, name)
		changed = true
	}
	return stampTTL(job, floor) || changed
}

func stampTTL(job *batchv1.Job, floor time.Duration) (changed bool) {
	raised, record := RaisedTTL(job, floor)
	if raised == nil {
		return false
	}
	if record {
		own := strconv.Itoa(int(*job.Spec.TTLSecondsAfterFinished))
		if !fits(job.Annotations, api.TTLAnnotation, own) {
			return false
		}
		set(&job.Annotations, api.TTLAnnotation, own)
	}
	job.Spec.TTLSecondsAfterFinished = raised
	return true
}

// RaisedTTL returns the ttlSecondsAfterFinished that holds job for at least
// floor after its end, or nil where it needs no raise: it has none, it is not
// below the floor, or the Job is Tracked by a tool that would undo it. record
// tells whether the present value is the user's own and must be written to
// TTLAnnotation first; it is not where that already holds a valid one.
func RaisedTTL(job *batchv1.Job, floor time.Duration) (raised *int32, record bool) {
	least, present := seconds(floor), job.Spec.TTLSecondsAfterFinished
	// A negative value is for the API server to refuse.
	if present == nil || *present < 0 || *present >= least {
		return nil, false
	}
	if _, tracked := Tracked(job); tracked {
		return nil, false
	}
	_, recorded := recordedTTL(job)
	return &least, !recorded
}

// OwnTTL returns the ttlSecondsAfterFinished that the user gave the Job: what
// TTLAnnotation recorded when it was raised, else a copy of what the spec
// holds; nil if there is none.
func OwnTTL(job *batchv1.Job) *int32 {
	if recorded, ok := recordedTTL(job); ok {
		return &recorded
	}
	if present := job.Spec.TTLSecondsAfterFinished; present != nil && *present >= 0 {
		return new(*present)
	}
	return nil
}

// StripForged removes from a Job that is being created what the manager alone
// writes, and returns the removed keys, sorted. A TTLAnnotation that Stamp
// itself has just written stays, since admission may call more than once for
// one Job.
func StripForged(job *batchv1.Job, floor time.Duration) []string {
	var removed []string
	for _, key := range managerKeys() {
		if !has(job.Annotations, key) || key == api.TTLAnnotation && raisedByStamp(job, floor) {
			continue
		}
		delete(job.Annotations, key)
		removed = append(removed, key)
	}
	return slices.Sorted(slices.Values(removed))
}

func raisedByStamp(job *batchv1.Job, floor time.Duration) bool {
	recorded, ok := recordedTTL(job)
	present, least := job.Spec.TTLSecondsAfterFinished, seconds(floor)
	_, tracked := Tracked(job)
	return ok && !tracked && present != nil && *present == least && recorded < least
}

func recordedTTL(job *batchv1.Job) (int32, bool) {
	value, set := job.Annotations[api.TTLAnnotation]
	ttl, errs := parseTTL(nil, value)
	return ttl, set && len(errs) == 0
}

// seconds rounds up and stays within the range of a TTL.
func seconds(d time.Duration) int32 {
	if d <= 0 {
		return 0
	}
	return int32(min((d-1)/time.Second+1, math.MaxInt32))
}

// fits reports whether the annotations have room for one more, with which key is
// not set yet or replaced.
func fits(annotations map[string]string, key, value string) bool {
	size := len(key) + len(value)
	for k, v := range annotations {
		if k != key {
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
