package ledger

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

func withTTL(ttl int32) *batchv1.Job { return oneJob().TTL(ttl).Obj() }

func TestLeaveTTL(t *testing.T) {
	var l Ledger
	correct := func(at time.Time) { l.WroteTTL(withTTL(10), withTTL(3600), at) }
	correct(noon)
	for i := range maxCorrections {
		if l.LeaveTTL(withTTL(10), noon) {
			t.Fatalf("left after %d corrections", i)
		}
		correct(noon.Add(time.Duration(i) * time.Minute))
	}
	if !l.LeaveTTL(withTTL(10), noon.Add(time.Hour-1)) {
		t.Error("corrected once more")
	}
	if l.LeaveTTL(withTTL(10), noon.Add(time.Hour)) {
		t.Error("left for longer than the window")
	}
	other := oneJob().UID("other").TTL(10).Obj()
	if l.LeaveTTL(other, noon) || len(l.jobs) != 1 {
		t.Errorf("another Job is left, or remembered: %d", len(l.jobs))
	}
	l.Forget("job-uid")
	if l.LeaveTTL(withTTL(10), noon) {
		t.Error("not forgotten")
	}
}

// A TTL of ours that is only extended, or follows what its user wants, is no fight.
func TestWritesOfOurOwnAreNoCorrections(t *testing.T) {
	var l Ledger
	l.WroteTTL(withTTL(10), withTTL(3600), noon)
	for i := range 10 {
		l.WroteTTL(withTTL(3600+int32(i)), withTTL(3601+int32(i)), noon)
	}
	l.WroteTTL(withTTL(1), withTTL(1), noon)
	if l.LeaveTTL(withTTL(10), noon) {
		t.Error("left")
	}
}

// However two writers take turns, one Job gets a bounded number of corrections within
// any hour.
func TestCorrectionsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Ledger
		now := noon
		var corrected []time.Time
		for range rapid.IntRange(0, 60).Draw(t, "writes") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1800).Draw(t, "seconds")) * time.Second)
			if l.LeaveTTL(withTTL(10), now) {
				continue
			}
			l.WroteTTL(withTTL(10), withTTL(3600), now)
			corrected = append(corrected, now)
		}
		for i := range corrected {
			if next := i + maxCorrections + 1; next < len(corrected) && corrected[next].Sub(corrected[i]) < correctionWindow {
				t.Fatalf("%d corrections within an hour", maxCorrections+2)
			}
		}
		if kept := len(l.of("job-uid").ttl.corrected); kept > maxCorrections {
			t.Fatalf("remembers %d", kept)
		}
	})
}

// A controller that takes back what was raised on its own Job is not argued with.
func TestTTLIsLeftToTheJobsController(t *testing.T) {
	undone := func(b *jobtest.JobBuilder) *batchv1.Job {
		return b.TTL(10).Annotation(api.TTLAnnotation, "10;raised=3600").Obj()
	}
	var l Ledger
	if l.LeaveTTL(undone(oneJob()), noon) {
		t.Error("a Job without controller")
	}
	if l.LeaveTTL(undone(oneJob().OwnedBy("batch/v1", "CronJob", "c", "u")), noon) {
		t.Error("a CronJob's")
	}
	operated := func() *jobtest.JobBuilder { return oneJob().OwnedBy("example.com/v1", "Report", "r", "u") }
	if l.LeaveTTL(operated().TTL(10).Obj(), noon) {
		t.Error("an operator's that was not raised yet")
	}
	if !l.LeaveTTL(undone(operated()), noon) || !l.LeaveTTL(operated().TTL(10).Obj(), noon.Add(time.Minute)) {
		t.Error("an operator's is fought over")
	}
}
