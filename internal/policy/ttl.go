package policy

import (
	"math"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
)

// The TTL of a Job is borrowed: Job Handler raises it until the results are stored,
// and records in api.TTLAnnotation both the user's value and the raised one. A spec
// that does not hold the raised value any more holds the user's, and the record is
// void. Nothing else compares the two: callers ask OwnTTL.

// raisedMark stands between the two values of a record. The previous version wrote
// the user's value alone.
const raisedMark = ";raised="

// ttlRecord is the value of api.TTLAnnotation.
type ttlRecord struct {
	// own is the user's TTL.
	own int32
	// raised is the TTL that was written in its place; -1 in a record of the
	// previous version, which does not say.
	raised int32
}

func (r ttlRecord) String() string {
	if r.raised < 0 {
		return strconv.Itoa(int(r.own))
	}
	return strconv.Itoa(int(r.own)) + raisedMark + strconv.Itoa(int(r.raised))
}

func parseTTLRecord(path *field.Path, value string) (ttlRecord, field.ErrorList) {
	own, raised, both := strings.Cut(value, raisedMark)
	record := ttlRecord{raised: -1}
	var errs field.ErrorList
	record.own, errs = parseTTL(path, own)
	if both && len(errs) == 0 {
		record.raised, errs = parseTTL(path, raised)
	}
	return record, errs
}

// recordOf returns the record of a Job, false where there is none or it is
// unreadable.
func recordOf(job *batchv1.Job) (ttlRecord, bool) {
	value, set := job.Annotations[api.TTLAnnotation]
	if !set {
		return ttlRecord{}, false
	}
	record, errs := parseTTLRecord(nil, value)
	return record, len(errs) == 0
}

// valid reports whether the spec still holds what was written when the record was.
// The previous version never lowered a TTL and never removed one.
func (r ttlRecord) valid(present *int32) bool {
	switch {
	case present == nil:
		return false
	case r.raised < 0:
		return *present >= r.own
	default:
		return *present == r.raised
	}
}

// Raised reports whether the Job's ttlSecondsAfterFinished is a value that Job
// Handler wrote in place of the user's. A user who sets exactly that value while it
// is there changes nothing, and cannot be told.
func Raised(job *batchv1.Job) bool {
	record, recorded := recordOf(job)
	return recorded && record.valid(job.Spec.TTLSecondsAfterFinished)
}

// OwnTTL returns the ttlSecondsAfterFinished that the user gave the Job: a copy of
// what the spec holds or, where that was Raised, what it was before; nil if there
// is none.
func OwnTTL(job *batchv1.Job) *int32 {
	present := job.Spec.TTLSecondsAfterFinished
	if record, recorded := recordOf(job); recorded && record.valid(present) {
		return &record.own
	}
	if present != nil && *present >= 0 {
		return new(*present)
	}
	return nil
}

// RaiseTTL sets ttlSecondsAfterFinished of a Job that has one, and records the
// user's.
func RaiseTTL(job *batchv1.Job, seconds int32) {
	set(&job.Annotations, api.TTLAnnotation, raiseRecord(job, seconds))
	job.Spec.TTLSecondsAfterFinished = &seconds
}

func raiseRecord(job *batchv1.Job, seconds int32) string {
	return ttlRecord{own: ptr.Deref(OwnTTL(job), 0), raised: seconds}.String()
}

// PutBackTTL gives the Job its user's TTL again, and removes the record.
func PutBackTTL(job *batchv1.Job) {
	job.Spec.TTLSecondsAfterFinished = OwnTTL(job)
	delete(job.Annotations, api.TTLAnnotation)
}

// RecordIsVoid reports whether the Job has a record that the spec has left behind,
// since the user changed the TTL or removed it, or one that is unreadable.
func RecordIsVoid(job *batchv1.Job) bool {
	return has(job.Annotations, api.TTLAnnotation) && !Raised(job)
}

// DropVoidRecord removes a record that is void, and reports whether there was one.
func DropVoidRecord(job *batchv1.Job) (changed bool) {
	if !RecordIsVoid(job) {
		return false
	}
	delete(job.Annotations, api.TTLAnnotation)
	return true
}

// RaisedTTL returns the ttlSecondsAfterFinished that holds job for at least
// floor after its end, or nil where it needs no raise: it has none, it is not
// below the floor, or the Job is Tracked by a tool that would undo it, or has a mark of own.
func RaisedTTL(job *batchv1.Job, floor time.Duration, own LeftAlone) *int32 {
	least, present := seconds(floor), job.Spec.TTLSecondsAfterFinished
	// A negative value is for the API server to refuse.
	if present == nil || *present < 0 || *present >= least {
		return nil
	}
	if _, tracked := Tracked(job, own); tracked {
		return nil
	}
	return &least
}

// stampTTL raises the TTL to the floor, unless the Job has no room for the record.
func stampTTL(job *batchv1.Job, floor time.Duration, own LeftAlone) (changed bool) {
	changed = DropVoidRecord(job)
	raised := RaisedTTL(job, floor, own)
	if raised == nil {
		return changed
	}
	if !fits(job.Annotations, api.TTLAnnotation, raiseRecord(job, *raised)) {
		return changed
	}
	RaiseTTL(job, *raised)
	return true
}

// StampUpdate stamps a Job whose ttlSecondsAfterFinished a client is changing: the
// new value is the user's own, whatever was recorded before. It reports whether
// this concerns the Job: one that is stamped, unfinished and not stored, that no
// tool tracks, and that no other controller looks after. A client that removes the
// record as well takes the TTL back; the manager looks at such a Job.
func StampUpdate(old, job *batchv1.Job, floor time.Duration, own LeftAlone) (concerned bool) {
	switch {
	case ptr.Equal(old.Spec.TTLSecondsAfterFinished, job.Spec.TTLSecondsAfterFinished),
		has(old.Annotations, api.TTLAnnotation) && !has(job.Annotations, api.TTLAnnotation),
		job.Labels[api.EnabledLabel] != api.True,
		job.DeletionTimestamp != nil,
		job.Annotations[api.StatusAnnotation] != "",
		jobstatus.Of(job).Finished(),
		OtherController(job):
		return false
	}
	if _, tracked := Tracked(job, own); tracked {
		return false
	}
	delete(job.Annotations, api.TTLAnnotation)
	stampTTL(job, floor, own)
	return true
}

// OtherController reports whether the Job has a controller that is no CronJob. Such
// a controller may bring the Job's spec back to its own idea of it; a CronJob never
// touches its Jobs.
func OtherController(job metav1.Object) bool {
	controller := metav1.GetControllerOfNoCopy(job)
	return controller != nil &&
		(controller.Kind != "CronJob" || controller.APIVersion != batchv1.SchemeGroupVersion.String())
}

// raisedByStamp reports whether a Job that is being created was stamped before.
func raisedByStamp(job *batchv1.Job, floor time.Duration, own LeftAlone) bool {
	record, recorded := recordOf(job)
	_, tracked := Tracked(job, own)
	least := seconds(floor)
	return recorded && !tracked && record.raised == least && record.own < least && record.valid(job.Spec.TTLSecondsAfterFinished)
}

// seconds rounds up and stays within the range of a TTL.
func seconds(d time.Duration) int32 {
	if d <= 0 {
		return 0
	}
	return int32(min((d-1)/time.Second+1, math.MaxInt32))
}
