package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/plan"
)

// A finished Job is in the backlog until it says that it is stored, or is gone.
func TestBacklog(t *testing.T) {
	type backlog struct {
		Jobs   int
		Oldest time.Duration
	}
	now := noon.Add(time.Hour)
	old, young := oneJob().UID("old").Completed(noon).Obj(), oneJob().UID("young").Failed(noon.Add(30*time.Minute), batchv1.JobReasonBackoffLimitExceeded, "").Obj()
	stored := old.DeepCopy()
	stored.Annotations = map[string]string{api.StatusAnnotation: api.StatusCompleted}
	for name, test := range map[string]struct {
		happens func(l *Ledger)
		want    backlog
	}{
		"nothing":               {func(*Ledger) {}, backlog{}},
		"a Job that runs":       {func(l *Ledger) { l.Watched(oneJob().Obj()) }, backlog{}},
		"one that finished":     {func(l *Ledger) { l.Watched(old) }, backlog{1, time.Hour}},
		"two, the oldest tells": {func(l *Ledger) { l.Watched(young); l.Watched(old) }, backlog{2, time.Hour}},
		"one is stored":         {func(l *Ledger) { l.Watched(young); l.Watched(old); l.Watched(stored) }, backlog{1, 30 * time.Minute}},
		"one is gone":           {func(l *Ledger) { l.Watched(young); l.Watched(old); l.Left(old) }, backlog{1, 30 * time.Minute}},
		"it is forgotten":       {func(l *Ledger) { l.Watched(old); l.Forget(old.UID) }, backlog{}},
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			test.happens(&l)
			jobs, oldest := l.Backlog(now)
			if diff := cmp.Diff(test.want, backlog{jobs, oldest}); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// An entry ends with what it is about.
func TestNothingStays(t *testing.T) {
	var l Ledger
	job := oneJob().Completed(noon).Obj()
	l.Watched(job)
	l.Left(job)
	l.Vanished(keyOf(job))
	if len(l.jobs) > 0 || len(l.vanished) > 0 {
		t.Errorf("%d Jobs and %d names are remembered", len(l.jobs), len(l.vanished))
	}
	// What is known besides stays until it is forgotten.
	l.Watched(job)
	l.Storing(job)
	l.Left(job)
	if !l.Unstored(job) {
		t.Error("forgotten too early")
	}
	l.Forget(job.UID)
	if len(l.jobs) > 0 {
		t.Errorf("%d Jobs are remembered", len(l.jobs))
	}
}

// Only a Job that left finished and without a status may have lost its results. It is
// asked about once, unless that could not be found out.
func TestVanished(t *testing.T) {
	stored := oneJob().Completed(noon).Annotation(api.StatusAnnotation, api.StatusCompleted).Obj()
	for name, test := range map[string]struct {
		job  *batchv1.Job
		want int
	}{
		"finished": {oneJob().Completed(noon).Obj(), 1},
		"running":  {oneJob().Obj(), 0},
		"stored":   {stored, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			l.Left(test.job)
			jobs := l.Vanished(keyOf(test.job))
			if len(jobs) != test.want {
				t.Fatalf("%d Jobs, want %d", len(jobs), test.want)
			}
			if again := l.Vanished(keyOf(test.job)); len(again) > 0 {
				t.Error("asked about twice")
			}
			l.PutBack(keyOf(test.job), jobs...)
			if again := l.Vanished(keyOf(test.job)); len(again) != test.want {
				t.Errorf("%d Jobs after they were put back, want %d", len(again), test.want)
			}
		})
	}
}

// Held deletions are counted by Job.
func TestHeld(t *testing.T) {
	var l Ledger
	for i, step := range []struct {
		do   func() int
		want int
	}{
		{func() int { return l.SetHeld("a", false) }, 0},
		{func() int { return l.SetHeld("a", true) }, 1},
		{func() int { return l.SetHeld("a", true) }, 1},
		{func() int { return l.SetHeld("b", true) }, 2},
		{func() int { return l.SetHeld("a", false) }, 1},
		{func() int { return l.SetHeld("a", false) }, 1},
		{func() int { return l.Forget("a") }, 1},
		{func() int { return l.Forget("b") }, 0},
		{func() int { return l.Forget("b") }, 0},
	} {
		if got := step.do(); got != step.want {
			t.Errorf("step %d: %d are held, want %d", i+1, got, step.want)
		}
	}
}

// Each wait has a time of its own, which begins when it is first asked for.
func TestWaited(t *testing.T) {
	var l Ledger
	for i, step := range []struct {
		what plan.Waiting
		at   time.Duration
		want time.Duration
	}{
		{plan.ForNodes, 0, 0},
		{plan.ForNodes, time.Second, time.Second},
		{plan.ForMissingPods, 2 * time.Second, 0},
		{plan.ForNodes, 3 * time.Second, 3 * time.Second},
	} {
		if got := l.Waited("uid", step.what, noon.Add(step.at)); got != step.want {
			t.Errorf("step %d: %s, want %s", i+1, got, step.want)
		}
	}
	l.Forget("uid")
	if got := l.Waited("uid", plan.ForNodes, noon.Add(time.Hour)); got != 0 {
		t.Errorf("forgotten, and it waits for %s", got)
	}
}

// A run is counted once, also where its results went missing in between.
func TestCount(t *testing.T) {
	var l Ledger
	job := oneJob().Obj()
	if !l.Count(job.UID) || l.Count(job.UID) {
		t.Error("not counted once")
	}
	l.Missing(job)
	if l.Count(job.UID) {
		t.Error("counted again after its results went missing")
	}
	other := oneJob().UID("other").Obj()
	l.Missing(other)
	if l.Count(other.UID) {
		t.Error("another process counted it")
	}
}

func TestLookedAtCronJob(t *testing.T) {
	var l Ledger
	for want := 1; want < 4; want++ {
		if got := l.LookedAtCronJob(oneJob().Obj()); got != want {
			t.Errorf("%d looks, want %d", got, want)
		}
	}
}

// What is known of a Job stays when the Job leaves the backlog, whatever it is.
func TestLeavingTheBacklogForgetsNothingElse(t *testing.T) {
	finished := oneJob().Completed(noon).Obj()
	stored := finished.DeepCopy()
	stored.Annotations = map[string]string{api.StatusAnnotation: api.StatusCompleted}
	yielded := oneJob().OwnedBy("example.com/v1", "Report", "r", "u").TTL(10).Annotation(api.TTLAnnotation, "10;raised=3600").Obj()
	for name, note := range map[string]func(l *Ledger){
		"its logs are read":           func(l *Ledger) { l.Reading(finished, noon) },
		"it is stored now":            func(l *Ledger) { l.Storing(finished) },
		"it waits":                    func(l *Ledger) { l.Waited(finished.UID, plan.ForNodes, noon) },
		"it was refused":              func(l *Ledger) { l.Refused(finished) },
		"its CronJob was looked at":   func(l *Ledger) { l.LookedAtCronJob(finished) },
		"it was reported":             func(l *Ledger) { l.Reported(finished, noon) },
		"it was counted":              func(l *Ledger) { l.Count(finished.UID) },
		"it is held":                  func(l *Ledger) { l.SetHeld(finished.UID, true) },
		"its TTL was written":         func(l *Ledger) { l.WroteTTL(withTTL(10), withTTL(3600), noon) },
		"its TTL is left to another":  func(l *Ledger) { l.LeaveTTL(yielded, noon) },
		"nothing but that it is here": nil,
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			l.Watched(finished)
			if note != nil {
				note(&l)
			}
			l.Watched(stored)
			if kept := l.jobs[finished.UID] != nil; kept != (note != nil) {
				t.Errorf("kept: %t", kept)
			}
		})
	}
}
