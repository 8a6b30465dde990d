package job

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/results"
)

// runWith is a run of one pod whose log was captured so.
func runWith(capture results.Capture) results.Run {
	job := oneJob().Completed(noon).Obj()
	end := &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(noon), FinishedAt: metav1.NewTime(noon)}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "report-x", UID: "pod-uid"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "main", State: corev1.ContainerState{Terminated: end}},
		}},
	}
	return results.Run{
		Job: job, Outcome: jobstatus.Of(job), LogMode: api.LogModeFull,
		Pods: []results.Pod{{Pod: pod, Logs: []results.ContainerLog{{Container: "main", Capture: capture}}}},
	}
}

var (
	whole       = results.Capture{Complete: true}
	unreachable = results.Capture{Reason: results.ReasonNodeUnreachable, Retryable: true}
	rotated     = results.Capture{Reason: results.ReasonContainerGone}
)

const logDeadline = 15 * time.Minute

func reader() (*Reconciler, *clocktesting.FakePassiveClock) {
	clock := clocktesting.NewFakePassiveClock(noon)
	return &Reconciler{Clock: clock, Ledger: &ledger.Ledger{}, PodLogs: &podlogs.Keeper{}, Options: Options{LogDeadline: logDeadline}}, clock
}

func TestReadAgain(t *testing.T) {
	for name, test := range map[string]struct {
		capture  results.Capture
		missing  int
		deleting bool
		deadline time.Duration
		want     time.Duration
	}{
		"complete":                       {capture: whole, deadline: logDeadline},
		"might heal":                     {capture: unreachable, deadline: logDeadline, want: time.Second},
		"will not heal":                  {capture: rotated, deadline: logDeadline},
		"a pod is missing for good":      {capture: whole, missing: 1, deadline: logDeadline},
		"one might heal, one is missing": {capture: unreachable, missing: 1, deadline: logDeadline, want: time.Second},
		"might heal, but is deleted":     {capture: unreachable, deleting: true, deadline: logDeadline},
		"no second try wanted":           {capture: unreachable, deadline: 0},
		"less than a second left":        {capture: unreachable, deadline: 300 * time.Millisecond, want: 300 * time.Millisecond},
		"a nanosecond left":              {capture: unreachable, deadline: 1, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := reader()
			r.Options.LogDeadline = test.deadline
			run := runWith(test.capture)
			run.MissingPods = test.missing
			if test.deleting {
				run.Job.DeletionTimestamp = &metav1.Time{Time: noon}
			}
			if got, _ := r.readAgain(run.Job, run, false); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if !r.Ledger.Unstored(run.Job) {
				t.Error("its logs were read, and it counts as stored")
			}
		})
	}
}

// Tries come ever less often, but never less often than every 20 s, and the
// last is at the deadline.
func TestReadAgainBacksOff(t *testing.T) {
	r, clock := reader()
	run := runWith(unreachable)
	var waits []time.Duration
	for {
		wait, _ := r.readAgain(run.Job, run, false)
		if wait == 0 {
			break
		}
		waits = append(waits, wait)
		clock.SetTime(clock.Now().Add(wait))
	}
	const s = time.Second
	if diff := cmp.Diff([]time.Duration{1 * s, 2 * s, 4 * s, 8 * s, 16 * s, 20 * s, 20 * s}, waits[:7]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	// 31 s in five tries, then 20 s each, then what is left.
	if got := len(waits); got != 5+43+1 || waits[got-2] != 20*s || waits[got-1] != 9*s {
		t.Errorf("%d tries, the last after %s", got, waits[got-1])
	}
	if took := clock.Now().Sub(noon); took != logDeadline {
		t.Errorf("given up after %s", took)
	}
}

func TestReadAgainHeals(t *testing.T) {
	r, clock := reader()
	bad, good := runWith(unreachable), runWith(whole)
	r.readAgain(bad.Job, bad, false)
	clock.SetTime(noon.Add(logDeadline - time.Second))
	if got, _ := r.readAgain(bad.Job, bad, false); got != time.Second {
		t.Errorf("a second before the deadline it waits %s", got)
	}
	if got, _ := r.readAgain(good.Job, good, false); got != 0 {
		t.Errorf("all was read, and it waits %s", got)
	}
}

// A Node object that is gone is waited for a minute, in tries that come ever less
// often, if a pod is there of which it is known; and no longer than for other logs.
func TestReadAgainNodeGone(t *testing.T) {
	nodeGone := results.Capture{Reason: results.ReasonNodeGone}
	for name, test := range map[string]struct {
		capture  results.Capture
		deleting bool
		deadline time.Duration
		want     time.Duration
	}{
		"gone":                        {capture: nodeGone, deadline: logDeadline, want: time.Minute},
		"gone, a shorter deadline":    {capture: nodeGone, deadline: 10 * time.Second, want: 10 * time.Second},
		"gone, no second try wanted":  {capture: nodeGone, deadline: 0},
		"gone, but it is deleted":     {capture: nodeGone, deleting: true, deadline: logDeadline},
		"captured before it was gone": {capture: whole, deadline: logDeadline},
		"another might heal":          {capture: unreachable, deadline: logDeadline, want: logDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			r, clock := reader()
			r.Options.LogDeadline = test.deadline
			run := runWith(test.capture)
			if test.deleting {
				run.Job.DeletionTimestamp = &metav1.Time{Time: noon}
			}
			for wait := time.Duration(1); wait > 0; clock.SetTime(clock.Now().Add(wait)) {
				var limit time.Duration
				if wait, limit = r.readAgain(run.Job, run, true); wait > 20*time.Second || wait > 0 && limit != test.want {
					t.Fatalf("waits %s, of %s", wait, limit)
				}
			}
			if got := clock.Since(noon); got != test.want {
				t.Errorf("given up after %s, want %s", got, test.want)
			}
		})
	}
}

// A Node object that goes after other logs were waited for has its own time.
func TestReadAgainNodeGoneLater(t *testing.T) {
	r, clock := reader()
	first, then := runWith(unreachable), runWith(results.Capture{Reason: results.ReasonNodeGone})
	r.readAgain(first.Job, first, false)
	clock.SetTime(noon.Add(5 * time.Minute))
	r.readAgain(then.Job, then, true)
	clock.SetTime(noon.Add(6*time.Minute - time.Second))
	if got, _ := r.readAgain(then.Job, then, true); got != time.Second {
		t.Errorf("a second before its time is over it waits %s", got)
	}
	clock.SetTime(noon.Add(6 * time.Minute))
	if got, _ := r.readAgain(then.Job, then, true); got != 0 {
		t.Errorf("after its time it waits %s", got)
	}
}

// The deadline is each run's own, and starts anew if stored results got lost.
func TestReadAgainByRun(t *testing.T) {
	r, clock := reader()
	first, other := runWith(unreachable), runWith(unreachable)
	other.Job.UID = "other-uid"
	r.readAgain(first.Job, first, false)
	clock.SetTime(noon.Add(logDeadline + time.Minute))
	if got, _ := r.readAgain(other.Job, other, false); got != time.Second {
		t.Errorf("another run waits %s", got)
	}
	if got, _ := r.readAgain(first.Job, first, false); got != 0 {
		t.Errorf("after its deadline it waits %s", got)
	}
	r.Ledger.Reported(first.Job, clock.Now())
	r.Ledger.Missing(first.Job)
	if got, _ := r.readAgain(first.Job, first, false); got != time.Second {
		t.Errorf("once its results were lost it waits %s", got)
	}
}
