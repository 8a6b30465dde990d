package plan

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

// ttlLife is a Job between a user who changes its TTL, the webhook, which sees some of
// these changes, and the manager.
type ttlLife struct {
	job *batchv1.Job
	// wish is the TTL that the user gave the Job last.
	wish *int32
	// lent are the values that the Job's TTL was raised to.
	lent     map[int32]bool
	now      time.Time
	finished bool
	leave    bool
}

var userTTLs = rapid.OneOf(rapid.Just[*int32](nil), rapid.Map(
	rapid.SampledFrom([]int32{0, 30, 600, 1799, 1800, 3599, 3601, 7200, 86400, 2147483647}), func(s int32) *int32 { return &s }))

func newTTLLife(t *rapid.T) *ttlLife {
	l := &ttlLife{now: now, wish: userTTLs.Draw(t, "TTL"), lent: map[int32]bool{}}
	l.job = makeJob().Obj()
	l.job.Spec.TTLSecondsAfterFinished = l.wish
	if rapid.Bool().Draw(t, "delay") {
		l.job.Annotations = map[string]string{api.DeleteAfterFailureAnnotation: "10m"}
	}
	if rapid.Bool().Draw(t, "webhook sees the creation") {
		policy.Stamp(l.job, floor, true, policy.LeftAlone{})
	}
	return l
}

func (l *ttlLife) observation() Observation {
	p, _ := policy.Resolve(l.job, nil, policy.Defaults{})
	return Observation{Job: l.job, Policy: p, TTLFloor: floor, ProtectDeadline: protectDeadline, LeaveTTL: l.leave}
}

// user changes the TTL. One who sets what is there changes nothing, and one who sets
// just what it was raised to cannot be told from the manager.
func (l *ttlLife) user(t *rapid.T) {
	wish := userTTLs.Draw(t, "new TTL")
	if ptr.Equal(wish, l.job.Spec.TTLSecondsAfterFinished) || wish != nil && l.lent[*wish] {
		return
	}
	l.wish = wish
	before := l.job.DeepCopy()
	l.job.Spec.TTLSecondsAfterFinished = wish
	if rapid.Bool().Draw(t, "webhook sees it") {
		policy.StampUpdate(before, l.job, floor, policy.LeftAlone{})
	}
}

// manager looks at the Job once. With leave it corrects nothing.
func (l *ttlLife) manager(t *rapid.T) {
	l.leave = rapid.IntRange(0, 3).Draw(t, "leave") == 0
	if decision := Decide(l.observation(), l.now); decision.Desired != nil {
		l.job = decision.Desired
	}
	l.leave = false
}

func (l *ttlLife) finish() {
	if !l.finished {
		l.finished = true
		l.job = failedAt(l.job, l.now)
	}
}

func failedAt(job *batchv1.Job, at time.Time) *batchv1.Job {
	job = job.DeepCopy()
	job.Status = jobtest.MakeJob("", "").Failed(at, "BackoffLimitExceeded", "").Obj().Status
	return job
}

func (l *ttlLife) store() {
	if l.finished && !Stored(l.job) {
		l.job = Report(l.observation(), "report-results", api.CaptureComplete)
	}
}

// In the end the Job's TTL is what the user wanted last, or what its policy says,
// whatever was raised and seen on the way.
func TestTTLIsTheUsersInTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newTTLLife(t)
		t.Repeat(map[string]func(*rapid.T){
			"user":    l.user,
			"manager": l.manager,
			"time":    func(t *rapid.T) { l.now = l.now.Add(time.Duration(rapid.IntRange(0, 7200).Draw(t, "s")) * time.Second) },
			"finish":  func(*rapid.T) { l.finish() },
			"store":   func(*rapid.T) { l.store() },
			"": func(t *rapid.T) {
				if ttl := l.job.Spec.TTLSecondsAfterFinished; ttl != nil && !ptr.Equal(ttl, l.wish) {
					l.lent[*ttl] = true
				}
				if own := policy.OwnTTL(l.job); !Stored(l.job) && !ptr.Equal(own, l.wish) {
					t.Fatalf("the user's own TTL is %v, taken for it is %v (%v)", ptr.Deref(l.wish, -1), ptr.Deref(own, -1), l.job.Annotations)
				}
			},
		})
		if rapid.Bool().Draw(t, "released") && !Stored(l.job) {
			if released := Release(l.job); released != nil {
				l.job = released
			}
			l.check(t, l.wish)
			return
		}
		l.finish()
		l.store()
		for range 3 {
			if decision := Decide(l.observation(), l.now); decision.Desired != nil {
				l.job = decision.Desired
			} else if decision.Action == Delete {
				if l.job.Annotations[api.DeleteAfterFailureAnnotation] != "" || l.wish == nil || *l.wish != 0 {
					t.Fatalf("deleted with TTL %v", ptr.Deref(l.wish, -1))
				}
				return
			}
		}
		if l.job.Annotations[api.DeleteAfterFailureAnnotation] != "" {
			l.check(t, new(int32(600)))
			return
		}
		l.check(t, l.wish)
	})
}

func (l *ttlLife) check(t *rapid.T, want *int32) {
	if got := l.job.Spec.TTLSecondsAfterFinished; !ptr.Equal(got, want) {
		t.Fatalf("TTL %v, want %v", ptr.Deref(got, -1), ptr.Deref(want, -1))
	}
	if record, recorded := l.job.Annotations[api.TTLAnnotation]; recorded {
		t.Fatalf("record %q is left", record)
	}
}

// While another writer insists on its TTL, the manager leaves it, clears what it
// recorded, and still extends what is its own.
func TestLeaveTTL(t *testing.T) {
	leave := func(job *batchv1.Job) Observation {
		o := observe(job)
		o.LeaveTTL = true
		return o
	}
	undone := stamped().TTL(10).Annotation(api.TTLAnnotation, record(10, 3600)).Obj()
	decision := Decide(leave(undone), now)
	if decision.Action != Change || ttlOf(decision.Desired).Recorded != "" || *decision.Desired.Spec.TTLSecondsAfterFinished != 10 {
		t.Fatalf("undone: %+v", decision)
	}
	if decision := Decide(leave(decision.Desired), now); decision.Action != Wait || decision.Desired != nil {
		t.Fatalf("left before: %+v", decision)
	}
	if decision := Decide(leave(stamp(done()).TTL(10).Obj()), now); decision.Action != Store || decision.Desired != nil {
		t.Fatalf("finished: %+v", decision)
	}
	ours := stamp(done()).TTL(3600).Annotation(api.TTLAnnotation, record(10, 3600)).Obj()
	if decision := Decide(leave(ours), finished.Add(floor)); decision.Desired == nil || ttlOf(decision.Desired).Recorded != record(10, 7200) {
		t.Fatalf("ours, running out: %+v", decision)
	}
	kept := stored(failed()).Annotation(api.DeleteAfterFailureAnnotation, "2m").TTL(5).Obj()
	if decision := Decide(leave(kept), now); decision.Action != Leave || decision.Desired != nil {
		t.Fatalf("stored: %+v", decision)
	}
}

// A Job that another client creates again and again is not deleted, unless its own
// annotation says so.
func TestMadeAgain(t *testing.T) {
	again := func(job *batchv1.Job) Observation {
		o := observe(job)
		o.MadeAgain = true
		return o
	}
	if decision := Decide(again(stored(done()).Obj()), now); decision.Action != Leave || decision.Desired != nil {
		t.Errorf("%+v", decision)
	}
	asked := stored(done()).Annotation(api.DeleteAfterSuccessAnnotation, "0s").Obj()
	if decision := Decide(again(asked), now); decision.Action != Delete {
		t.Errorf("asked for: %+v", decision)
	}
	waiting := Report(again(stamp(done()).TTL(60).Obj()), "x-results", kept)
	if ttlOf(waiting).Seconds != nil {
		t.Errorf("kept for its logs: %v", ttlOf(waiting))
	}
	raised := Report(again(stamp(done()).TTL(3600).Annotation(api.TTLAnnotation, record(60, 3600)).Obj()), "x-results", api.CaptureComplete)
	if diff := ttlOf(raised); *diff.Seconds != 60 || diff.Recorded != "" {
		t.Errorf("with a TTL of its own: %v", diff)
	}
}
