package plan

import (
	"fmt"
	"maps"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/policy"
)

// world is a Job and what else decides about it. Its values are those that
// turn a rule, and others that nobody expects.
type world struct {
	job       *batchv1.Job
	namespace map[string]string
	defaults  policy.Defaults
	floor     time.Duration
	unstored  bool
	// history and terminating are what is observed around the Job.
	history, terminating bool
	now                  time.Time
}

func (w world) observe(job *batchv1.Job) Observation {
	p, _ := policy.Resolve(job, w.namespace, w.defaults)
	return Observation{
		Job: job, Policy: p, Unstored: w.unstored, TTLFloor: w.floor,
		HistoryDeletes: w.history, NamespaceTerminating: w.terminating, ProtectDeadline: protectDeadline,
	}
}

var (
	protectTexts = rapid.SampledFrom([]string{api.True, api.False, "yes"})

	delayTexts = rapid.SampledFrom([]string{"0s", "1s", "10m", "2w", "never", "2147483647s", "soon", "", "-1s"})
	seconds    = rapid.OneOf(
		rapid.SampledFrom([]int32{0, 1, 29, 30, 1799, 1800, 1801, 3599, 3600, 3601, math.MaxInt32 - 1, math.MaxInt32}),
		rapid.Int32Min(0))
	texts = map[string]*rapid.Generator[string]{
		api.StatusAnnotation:             rapid.SampledFrom([]string{"", api.StatusCompleted, api.StatusFailed, "x"}),
		api.CaptureAnnotation:            rapid.SampledFrom([]string{"", api.CaptureComplete, incomplete, kept, "x"}),
		api.ResultsNameAnnotation:        rapid.SampledFrom([]string{"", "x-results", "NOT/A/NAME"}),
		api.DeleteAfterSuccessAnnotation: delayTexts,
		api.DeleteAfterFailureAnnotation: delayTexts,
		api.LogModeAnnotation:            rapid.SampledFrom([]string{"full", "status", "x"}),
		api.ProtectAnnotation:            protectTexts,
		api.TTLAnnotation: rapid.OneOf(rapid.SampledFrom([]string{"", "soon", "-1", "+7", "007", "99999999999"}),
			rapid.Map(seconds, func(s int32) string { return fmt.Sprint(s) }),
			rapid.Custom(func(t *rapid.T) string { return record(seconds.Draw(t, "own"), seconds.Draw(t, "raised")) })),
		argoTracking: rapid.Just("x"), helmHook: rapid.Just("test"), "other": rapid.String(),
	}
)

func drawTime(t *rapid.T, name string) time.Time {
	age := rapid.OneOf(
		rapid.SampledFrom([]time.Duration{0, -time.Hour, floor / 2, floor/2 + 1, floor, 1 << 62}),
		rapid.Map(rapid.Int64Range(-1e18, 1e18), func(d int64) time.Duration { return time.Duration(d) }),
	).Draw(t, name)
	return now.Add(-age)
}

func drawSome[V any](t *rapid.T, name string, from map[string]*rapid.Generator[V]) map[string]V {
	drawn := map[string]V{}
	for _, key := range rapid.SliceOfDistinct(rapid.SampledFrom(keysOf(from)), rapid.ID).Draw(t, name) {
		drawn[key] = from[key].Draw(t, key)
	}
	return drawn
}

func keysOf[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for _, key := range []string{
		api.StatusAnnotation, api.CaptureAnnotation, api.ResultsNameAnnotation, api.DeleteAfterSuccessAnnotation,
		api.DeleteAfterFailureAnnotation, api.LogModeAnnotation, api.ProtectAnnotation, api.TTLAnnotation, argoTracking, helmHook, "other",
	} {
		if _, has := m[key]; has {
			keys = append(keys, key)
		}
	}
	return keys
}

func drawDelay(t *rapid.T, name string) *policy.Delay {
	delay, err := policy.ParseDelay(delayTexts.Draw(t, name))
	if err != nil {
		return nil
	}
	return &delay
}

func drawWorld(t *rapid.T) world {
	job := makeJob().Obj()
	if rapid.Bool().Draw(t, "stamped") {
		job = stamped().Obj()
	}
	if job.Annotations == nil {
		job.Annotations = map[string]string{}
	}
	maps.Copy(job.Annotations, drawSome(t, "annotations", texts))
	if rapid.Bool().Draw(t, "has TTL") {
		job.Spec.TTLSecondsAfterFinished = new(seconds.Draw(t, "TTL"))
	}
	if rapid.Bool().Draw(t, "suspend") {
		job.Spec.Suspend = new(true)
	}
	if rapid.Bool().Draw(t, "started") {
		job.Status.StartTime = &metav1.Time{Time: drawTime(t, "start")}
	}
	if rapid.Bool().Draw(t, "has completionTime") {
		job.Status.CompletionTime = &metav1.Time{Time: drawTime(t, "completion")}
	}
	job.Status.Conditions = rapid.SliceOfN(rapid.Custom(drawCondition), 0, 3).Draw(t, "conditions")
	job.OwnerReferences = rapid.SliceOfN(rapid.Custom(drawOwner), 0, 2).Draw(t, "owners")
	if rapid.Bool().Draw(t, "managed") {
		job.Spec.ManagedBy = new(rapid.SampledFrom([]string{"", batchv1.JobControllerName, "x.io/y"}).Draw(t, "managedBy"))
	}
	if rapid.IntRange(0, 4).Draw(t, "deleting") == 0 {
		job.DeletionTimestamp = &metav1.Time{Time: drawTime(t, "deletion")}
	}
	job.Finalizers = rapid.SampledFrom([][]string{
		nil, nil, {api.ResultsFinalizer}, {"example.com/theirs"}, {"example.com/theirs", api.ResultsFinalizer, "x/y"},
	}).Draw(t, "finalizers")
	return world{
		job: job, namespace: drawSome(t, "namespace", texts),
		defaults: policy.Defaults{DeleteAfterSuccess: drawDelay(t, "success flag"), DeleteAfterFailure: drawDelay(t, "failure flag"), Protect: rapid.Bool().Draw(t, "protect flag")},
		history:  rapid.Bool().Draw(t, "history"), terminating: rapid.IntRange(0, 4).Draw(t, "terminating") == 0,
		floor: rapid.OneOf(rapid.Just(floor), rapid.Just(time.Minute), rapid.Just(policy.LongestDelay),
			rapid.Map(rapid.Int64Range(1, math.MaxInt64), func(d int64) time.Duration { return time.Duration(d) })).Draw(t, "floor"),
		unstored: rapid.Bool().Draw(t, "unstored"),
		now:      now,
	}
}

func drawCondition(t *rapid.T) batchv1.JobCondition {
	condition := batchv1.JobCondition{
		Type: rapid.SampledFrom([]batchv1.JobConditionType{
			batchv1.JobComplete, batchv1.JobFailed, batchv1.JobSuspended, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet, "x",
		}).Draw(t, "type"),
		Status: rapid.SampledFrom([]corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionTrue, corev1.ConditionFalse, ""}).Draw(t, "status"),
	}
	if rapid.Bool().Draw(t, "has time") {
		condition.LastTransitionTime = metav1.Time{Time: drawTime(t, "transition")}
	}
	return condition
}

func drawOwner(t *rapid.T) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: rapid.SampledFrom([]string{"batch/v1", "v1"}).Draw(t, "apiVersion"),
		Kind:       rapid.SampledFrom([]string{"CronJob", "Pod"}).Draw(t, "kind"),
		Name:       "owner", UID: "owner-uid",
		Controller: rapid.SampledFrom([]*bool{nil, new(true), new(false)}).Draw(t, "controller"),
	}
}

// Whatever a Job looks like, one change brings it to where Decide wants it.
func TestDecideSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := w.job.DeepCopy()
		first := Decide(w.observe(w.job), w.now)
		if diff := cmp.Diff(before, w.job); diff != "" {
			t.Fatalf("the observed Job changed:\n%s", diff)
		}
		if first.Desired == nil {
			if first.Action == Change {
				t.Fatal("a change to nothing")
			}
			return
		}
		if diff := cmp.Diff(w.job, first.Desired); diff == "" {
			t.Fatalf("%s without a change", first.Action)
		}
		if seconds := first.Desired.Spec.TTLSecondsAfterFinished; seconds != nil && *seconds < 0 {
			t.Fatalf("TTL %d", *seconds)
		}
		second := Decide(w.observe(first.Desired), w.now)
		if second.Action == Change || second.Desired != nil {
			t.Fatalf("%s, then %s:\n%s", first.Action, second.Action, cmp.Diff(first.Desired, second.Desired))
		}
		if first.Action == Store && second.Action != Store {
			t.Fatalf("held, then %s", second.Action)
		}
		if released := policy.Protected(w.job) && !policy.Protected(first.Desired); released != (first.Released != NotReleased) {
			t.Fatalf("released as %q: %t", first.Released, released)
		}
		if w.job.DeletionTimestamp != nil && len(first.Desired.Finalizers) > len(w.job.Finalizers) {
			t.Fatal("a finalizer on a Job that is being deleted")
		}
	})
}

// What Report writes is all there is to write: afterwards the Job is left or
// deleted.
func TestReportSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		if !jobstatus.Of(w.job).Finished() {
			w.job.Status.Conditions = append(w.job.Status.Conditions, batchv1.JobCondition{
				Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Time{Time: finished},
			})
		}
		capture := rapid.SampledFrom([]string{api.CaptureComplete, incomplete, kept}).Draw(t, "capture")
		before := w.job.DeepCopy()
		reported := Report(w.observe(w.job), "x-results", capture)
		if diff := cmp.Diff(before, w.job); diff != "" {
			t.Fatalf("the observed Job changed:\n%s", diff)
		}
		if !Stored(reported) || reported.Annotations[api.CaptureAnnotation] != capture || policy.Protected(reported) {
			t.Fatalf("reported as %v with %v", reported.Annotations, reported.Finalizers)
		}
		w.unstored = false
		decision := Decide(w.observe(reported), w.now)
		if decision.Desired != nil || decision.Action != Leave && decision.Action != Delete {
			t.Fatalf("then %s:\n%s", decision.Action, cmp.Diff(reported, decision.Desired))
		}
	})
}

// A Job is deleted only if it finished, says that it is stored, and nothing
// else speaks against it.
func TestDeleteIsLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		if Decide(w.observe(w.job), w.now).Action != Delete {
			return
		}
		asked := w.observe(w.job).Policy.DeleteAfterSuccess.Source == policy.SourceJob ||
			w.observe(w.job).Policy.DeleteAfterFailure.Source == policy.SourceJob
		switch {
		case !jobstatus.Of(w.job).Finished(), !Stored(w.job), w.unstored, w.job.DeletionTimestamp != nil:
			t.Fatal("deleted too early")
		case !OwnershipOf(w.job, policy.LeftAlone{}).Ours && !asked:
			t.Fatalf("deleted, though %s", OwnershipOf(w.job, policy.LeftAlone{}).Why)
		}
	})
}
