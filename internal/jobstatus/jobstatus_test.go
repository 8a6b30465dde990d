package jobstatus

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var at = time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)

func conditionOf(kind batchv1.JobConditionType, status corev1.ConditionStatus, when time.Time) batchv1.JobCondition {
	return batchv1.JobCondition{
		Type: kind, Status: status, LastTransitionTime: metav1.NewTime(when),
		Reason: string(kind) + "Reason", Message: string(kind) + " message",
	}
}

func TestOf(t *testing.T) {
	yes := func(kind batchv1.JobConditionType) batchv1.JobCondition {
		return conditionOf(kind, corev1.ConditionTrue, at)
	}
	completed := Outcome{Phase: Completed, FinishTime: at, Reason: "CompleteReason", Message: "Complete message"}
	failed := Outcome{Phase: Failed, FinishTime: at, Reason: "FailedReason", Message: "Failed message"}
	earlier := metav1.NewTime(at.Add(-time.Second))
	for name, test := range map[string]struct {
		status  batchv1.JobStatus
		suspend *bool
		want    Outcome
	}{
		"no status":                     {want: Outcome{Phase: Running}},
		"suspend false":                 {suspend: new(false), want: Outcome{Phase: Running}},
		"suspend true":                  {suspend: new(true), want: Outcome{Phase: Suspended}},
		"active":                        {status: batchv1.JobStatus{Active: 3, StartTime: &earlier}, want: Outcome{Phase: Running}},
		"pods failed, which is retried": {status: batchv1.JobStatus{Failed: 5}, want: Outcome{Phase: Running}},
		"pods succeeded":                {status: batchv1.JobStatus{Succeeded: 1}, want: Outcome{Phase: Running}},
		"a completionTime alone":        {status: batchv1.JobStatus{CompletionTime: &earlier}, want: Outcome{Phase: Running}},

		"Complete": {status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{yes(batchv1.JobComplete)}}, want: completed},
		"Failed":   {status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{yes(batchv1.JobFailed)}}, want: failed},
		"Complete, with its completionTime": {
			status: batchv1.JobStatus{CompletionTime: &earlier, Conditions: []batchv1.JobCondition{yes(batchv1.JobComplete)}},
			want:   Outcome{Phase: Completed, FinishTime: earlier.Time, Reason: "CompleteReason", Message: "Complete message"},
		},
		"Failed, a completionTime notwithstanding": {
			status: batchv1.JobStatus{CompletionTime: &earlier, Conditions: []batchv1.JobCondition{yes(batchv1.JobFailed)}},
			want:   failed,
		},
		"Failed, without a time, reason or message": {
			status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue}}},
			want:   Outcome{Phase: Failed},
		},
		"both, Complete first": {
			status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{yes(batchv1.JobComplete), yes(batchv1.JobFailed)}}, want: failed,
		},
		"both, Failed first": {
			status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{yes(batchv1.JobFailed), yes(batchv1.JobComplete)}}, want: failed,
		},
		"Complete twice, the first not true": {
			status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{
				conditionOf(batchv1.JobComplete, corev1.ConditionFalse, at.Add(-time.Hour)), yes(batchv1.JobComplete),
			}}, want: completed,
		},
		"Complete twice, both true": {
			status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{
				yes(batchv1.JobComplete), conditionOf(batchv1.JobComplete, corev1.ConditionTrue, at.Add(time.Hour)),
			}}, want: completed,
		},
		"the criteria come first": {
			status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{yes(batchv1.JobFailureTarget)}}, want: Outcome{Phase: Running},
		},
		"the success criteria too": {
			status: batchv1.JobStatus{CompletionTime: &earlier, Conditions: []batchv1.JobCondition{yes(batchv1.JobSuccessCriteriaMet)}},
			want:   Outcome{Phase: Running},
		},
		"after its criteria": {
			status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{yes(batchv1.JobSuccessCriteriaMet), yes(batchv1.JobComplete)}},
			want:   completed,
		},
		"the Suspended condition alone": {
			status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{yes(batchv1.JobSuspended)}}, want: Outcome{Phase: Running},
		},
		"Failed while suspended": {
			status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{yes(batchv1.JobSuspended), yes(batchv1.JobFailed)}}, suspend: new(true), want: failed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			job := &batchv1.Job{Spec: batchv1.JobSpec{Suspend: test.suspend}, Status: test.status}
			if diff := cmp.Diff(test.want, Of(job)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Every status of every condition, in each order, with each value of suspend:
// only a terminal condition that is True ends a Job, and Failed wins.
func TestOfEveryCombination(t *testing.T) {
	statuses := []corev1.ConditionStatus{"absent", "", corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown}
	for _, complete := range statuses {
		for _, failed := range statuses {
			expect(t, complete, failed)
		}
	}
}

func expect(t *testing.T, complete, failed corev1.ConditionStatus) {
	t.Helper()
	others := []batchv1.JobConditionType{
		batchv1.JobSuspended, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet, "example.com/Other",
	}
	var conditions []batchv1.JobCondition
	for _, other := range others {
		conditions = append(conditions, conditionOf(other, corev1.ConditionTrue, at))
	}
	if complete != "absent" {
		conditions = append(conditions, conditionOf(batchv1.JobComplete, complete, at))
	}
	if failed != "absent" {
		conditions = append(conditions, conditionOf(batchv1.JobFailed, failed, at))
	}
	for range conditions {
		conditions = slices.Concat(conditions[1:], conditions[:1])
		for _, suspend := range []*bool{nil, new(false), new(true)} {
			want := Running
			switch {
			case failed == corev1.ConditionTrue:
				want = Failed
			case complete == corev1.ConditionTrue:
				want = Completed
			case suspend != nil && *suspend:
				want = Suspended
			}
			got := Of(&batchv1.Job{Spec: batchv1.JobSpec{Suspend: suspend}, Status: batchv1.JobStatus{Conditions: conditions}})
			finished := want == Completed || want == Failed
			if got.Phase != want || got.Finished() != finished || got.FinishTime.IsZero() == finished || (got.Reason == "") == finished {
				t.Errorf("Complete %q, Failed %q, suspend %v: got %+v, want %s", complete, failed, suspend, got, want)
			}
		}
	}
}

func TestOutcome(t *testing.T) {
	for phase, want := range map[Phase]struct {
		finished bool
		status   string
	}{
		Running:   {false, ""},
		Suspended: {false, ""},
		Completed: {true, "completed"},
		Failed:    {true, "failed"},
		"":        {false, ""},
	} {
		t.Run(string(phase), func(t *testing.T) {
			outcome := Outcome{Phase: phase}
			if outcome.Finished() != want.finished || outcome.Status() != want.status {
				t.Errorf("got %t and %q, want %+v", outcome.Finished(), outcome.Status(), want)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	type result struct {
		Duration time.Duration
		Known    bool
	}
	for name, test := range map[string]struct {
		start  *metav1.Time
		finish time.Time
		want   result
	}{
		"a minute":               {new(metav1.NewTime(at)), at.Add(time.Minute), result{time.Minute, true}},
		"no time at all":         {new(metav1.NewTime(at)), at, result{0, true}},
		"ended before it began":  {new(metav1.NewTime(at)), at.Add(-time.Minute), result{0, true}},
		"never started":          {nil, at, result{}},
		"not finished":           {new(metav1.NewTime(at)), time.Time{}, result{}},
		"neither":                {nil, time.Time{}, result{}},
		"in different time zone": {new(metav1.NewTime(at.In(time.FixedZone("", 3600)))), at.Add(time.Second), result{time.Second, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var got result
			job := &batchv1.Job{Status: batchv1.JobStatus{StartTime: test.start}}
			got.Duration, got.Known = Duration(job, Outcome{Phase: Completed, FinishTime: test.finish})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
