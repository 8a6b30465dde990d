package plan

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// aPod is a pod in a test of the pods of a Job.
func aPod(uid types.UID, phase corev1.PodPhase, change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid}, Status: corev1.PodStatus{Phase: phase}}
	for _, f := range change {
		f(pod)
	}
	return pod
}

func isLeaving(pod *corev1.Pod) { pod.DeletionTimestamp = &metav1.Time{Time: finished} }

func isTracked(pod *corev1.Pod) { pod.Finalizers = []string{batchv1.JobTrackingFinalizer} }

func exits(code int32) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{
			{Name: "main", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}},
		}
	}
}

func disrupted(pod *corev1.Pod) {
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
}

func atIndex(index string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: index}
	}
}

// ended is a finished Job with such a status.
func ended(succeeded, failed int32, change ...func(*batchv1.Job)) *batchv1.Job {
	job := done().Obj()
	job.Generation = 1
	job.Status.Succeeded, job.Status.Failed = succeeded, failed
	for _, f := range change {
		f(job)
	}
	return job
}

func spot(job *batchv1.Job) {
	job.Spec.PodReplacementPolicy = new(batchv1.Failed)
	job.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		onCondition(batchv1.PodFailurePolicyActionIgnore, corev1.DisruptionTarget), onExit(batchv1.PodFailurePolicyActionIgnore, 42),
	}}
}

func changed(job *batchv1.Job) { job.Generation = 2 }

func inIndexes(completions int32, completed string) func(*batchv1.Job) {
	return func(job *batchv1.Job) {
		job.Spec.CompletionMode, job.Spec.Completions = new(batchv1.IndexedCompletion), &completions
		job.Status.CompletedIndexes = completed
	}
}

func failedIndexes(list string) func(*batchv1.Job) {
	return func(job *batchv1.Job) { job.Status.FailedIndexes = &list }
}

func TestMissingPods(t *testing.T) {
	const succeeded, failure, running = corev1.PodSucceeded, corev1.PodFailed, corev1.PodRunning
	custom := func(job *batchv1.Job) {
		spot(job)
		job.Spec.PodFailurePolicy.Rules[0].OnPodConditions[0].Type = "example.com/Preempted"
	}
	fails := func(job *batchv1.Job) { job.Status.Conditions = failed().Obj().Status.Conditions }
	bySuccessPolicy := func(job *batchv1.Job) { job.Status.Conditions[0].Reason = batchv1.JobReasonSuccessPolicy }
	for name, test := range map[string]struct {
		job  *batchv1.Job
		pods []*corev1.Pod
		want Missing
	}{
		"no pod":        {ended(0, 0), nil, Missing{}},
		"one succeeded": {ended(1, 0), []*corev1.Pod{aPod("a", succeeded)}, Missing{}},
		"none is known": {ended(2, 1), nil, Missing{Pods: 3}},
		"seen twice":    {ended(2, 0), []*corev1.Pod{aPod("a", succeeded), aPod("a", succeeded)}, Missing{Pods: 1}},
		"tries before":  {ended(1, 2), []*corev1.Pod{aPod("a", failure), aPod("b", failure), aPod("c", succeeded)}, Missing{}},
		"only failures": {ended(1, 1), []*corev1.Pod{aPod("a", failure), aPod("b", failure)}, Missing{Pods: 1, Perhaps: 1}},
		"more than counted, which no rule explains": {
			ended(1, 0), []*corev1.Pod{aPod("a", succeeded), aPod("b", succeeded)}, Missing{Perhaps: 1},
		},

		"more that were deleted, which no rule explains": {
			ended(1, 1),
			[]*corev1.Pod{aPod("a", running, isLeaving), aPod("b", running, isLeaving), aPod("c", running, isLeaving)},
			Missing{Perhaps: 2},
		},
		"more that were deleted beside a failure, which no rule explains": {
			ended(1, 1), []*corev1.Pod{aPod("a", failure), aPod("b", running, isLeaving), aPod("c", running, isLeaving)}, Missing{Perhaps: 1},
		},

		"ignored, and the one that succeeded hidden": {
			ended(1, 0, spot), []*corev1.Pod{aPod("ignored", failure, exits(42))}, Missing{Pods: 1},
		},
		"ignored, and the one that succeeded": {
			ended(1, 0, spot), []*corev1.Pod{aPod("ignored", failure, exits(42)), aPod("ok", succeeded)}, Missing{},
		},
		"ignored stands for no failure that is gone": {
			ended(1, 1, spot), []*corev1.Pod{aPod("ignored", failure, exits(42)), aPod("ok", succeeded)}, Missing{Pods: 1},
		},
		"disrupted, so ignored": {
			ended(1, 1, spot), []*corev1.Pod{aPod("a", failure, disrupted), aPod("ok", succeeded)}, Missing{Pods: 1},
		},
		"another exit code": {
			ended(1, 1, spot), []*corev1.Pod{aPod("a", failure, exits(1)), aPod("ok", succeeded)}, Missing{},
		},
		"evicted, and ended before it was counted": {
			ended(1, 1, spot), []*corev1.Pod{aPod("a", failure, isLeaving, isTracked, exits(137)), aPod("ok", succeeded)}, Missing{},
		},
		"deleted as the Job failed": {
			ended(0, 1, spot, fails), []*corev1.Pod{aPod("a", failure, isLeaving, isTracked, exits(42))}, Missing{Perhaps: 1},
		},
		"a condition that is not kept": {
			ended(1, 1, custom), []*corev1.Pod{aPod("a", failure, exits(1)), aPod("ok", succeeded)}, Missing{Perhaps: 1},
		},

		"deleted, the spec as it was":     {ended(1, 1), []*corev1.Pod{aPod("a", running, isLeaving), aPod("b", succeeded)}, Missing{}},
		"deleted, then it succeeded":      {ended(1, 1), []*corev1.Pod{aPod("a", succeeded, isLeaving), aPod("b", succeeded)}, Missing{}},
		"deleted by force":                {ended(1, 1), []*corev1.Pod{aPod("a", running), aPod("b", succeeded)}, Missing{}},
		"suspended, perhaps":              {ended(1, 1, changed), []*corev1.Pod{aPod("a", failure, isLeaving), aPod("b", succeeded)}, Missing{Perhaps: 1}},
		"suspended, none failed":          {ended(1, 0, changed), []*corev1.Pod{aPod("a", failure, isLeaving), aPod("b", succeeded)}, Missing{}},
		"suspended, the success hidden":   {ended(1, 0, changed), []*corev1.Pod{aPod("a", failure, isLeaving)}, Missing{Pods: 1}},
		"deleted while tracked":           {ended(1, 1, changed), []*corev1.Pod{aPod("a", running, isLeaving, isTracked), aPod("a", failure, isLeaving), aPod("b", succeeded)}, Missing{}},
		"tracked before it was deleted":   {ended(1, 1, changed), []*corev1.Pod{aPod("a", running, isTracked), aPod("a", failure, isLeaving), aPod("b", succeeded)}, Missing{Perhaps: 1}},
		"ended, then deleted":             {ended(1, 1, changed), []*corev1.Pod{aPod("a", failure), aPod("a", failure, isLeaving), aPod("b", succeeded)}, Missing{}},
		"still there, deleted by success": {ended(1, 1, bySuccessPolicy), []*corev1.Pod{aPod("a", running, isLeaving, isTracked), aPod("b", succeeded)}, Missing{Perhaps: 1}},

		"indexes": {
			ended(2, 0, inIndexes(2, "0,1")), []*corev1.Pod{aPod("a", succeeded, atIndex("0")), aPod("b", succeeded, atIndex("1"))}, Missing{},
		},
		"one index twice, another hidden": {
			ended(2, 0, inIndexes(2, "0-1")), []*corev1.Pod{aPod("a", succeeded, atIndex("0")), aPod("b", succeeded, atIndex("0"))}, Missing{Pods: 1},
		},
		"one index twice, and a failure that may be another": {
			ended(2, 1, inIndexes(2, "0-1"), changed),
			[]*corev1.Pod{aPod("a", succeeded, atIndex("0")), aPod("b", succeeded, atIndex("0")), aPod("c", failure, isLeaving, atIndex("1"))},
			Missing{Pods: 1, Perhaps: 1},
		},
		"one index twice, perhaps": {
			ended(2, 0, inIndexes(2, "0-1"), changed),
			[]*corev1.Pod{aPod("a", succeeded, isLeaving, atIndex("0")), aPod("b", succeeded, isLeaving, atIndex("0"))},
			Missing{Pods: 1, Perhaps: 1},
		},
		"an index beyond completions": {
			ended(1, 0, inIndexes(1, "0"), changed), []*corev1.Pod{aPod("b", succeeded, atIndex("1"))}, Missing{Pods: 1},
		},
		"a failure beyond completions": {
			ended(1, 1, inIndexes(1, "0"), changed), []*corev1.Pod{aPod("a", succeeded, atIndex("0")), aPod("b", failure, atIndex("1"))}, Missing{Perhaps: 1},
		},
		"an index that is not completed": {
			ended(1, 0, inIndexes(2, "0")), []*corev1.Pod{aPod("b", succeeded, atIndex("1"))}, Missing{Pods: 1},
		},
		"no index": {ended(1, 0, inIndexes(1, "0")), []*corev1.Pod{aPod("a", succeeded)}, Missing{Pods: 1}},
		"more indexes than can be written out": {
			ended(3, 0, inIndexes(2e9, "0-1999999999")), []*corev1.Pod{aPod("a", succeeded, atIndex("7"))}, Missing{Pods: 2},
		},
		"deleted, and replaced": {
			ended(1, 1, inIndexes(1, "0")), []*corev1.Pod{aPod("a", succeeded, isLeaving, atIndex("0")), aPod("b", succeeded, atIndex("0"))}, Missing{},
		},
		"a failed index": {
			ended(0, 2, inIndexes(2, ""), failedIndexes("0,1")),
			[]*corev1.Pod{aPod("a", failure, atIndex("0")), aPod("b", failure, atIndex("1"))},
			Missing{},
		},
		"a failed index without its pod": {
			ended(0, 2, inIndexes(2, ""), failedIndexes("0-1")),
			[]*corev1.Pod{aPod("a", failure, atIndex("0")), aPod("b", failure, atIndex("0"))},
			Missing{Pods: 1},
		},

		"named, not counted yet": {
			ended(0, 0, func(job *batchv1.Job) {
				job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"a"}, Failed: []types.UID{"b"}}
			}), []*corev1.Pod{aPod("a", succeeded)}, Missing{Pods: 1},
		},
		"deleted after it finished": {
			ended(1, 1, changed, func(job *batchv1.Job) { job.DeletionTimestamp = &metav1.Time{Time: finished} }),
			[]*corev1.Pod{aPod("a", failure, isLeaving), aPod("b", succeeded)},
			Missing{},
		},
		"deleted before it finished": {
			ended(1, 0, func(job *batchv1.Job) { job.DeletionTimestamp = &metav1.Time{Time: finished.Add(-time.Minute)} }),
			[]*corev1.Pod{aPod("a", succeeded, isLeaving, isTracked)},
			Missing{Perhaps: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, MissingPods(test.job, test.pods)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestOwns(t *testing.T) {
	const uid = "job-uid"
	controller := func(uid types.UID) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			pod.OwnerReferences = append(pod.OwnerReferences, metav1.OwnerReference{Kind: "Job", UID: uid, Controller: new(true)})
		}
	}
	labelled := func(uid string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { pod.Labels = map[string]string{batchv1.ControllerUidLabel: uid} }
	}
	made := func(at time.Time) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { pod.CreationTimestamp = metav1.NewTime(at) }
	}
	owned := func(pod *corev1.Pod) { pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", UID: uid}} }
	there, goes := ended(1, 0), ended(1, 0)
	there.UID, goes.UID = uid, uid
	goes.DeletionTimestamp = &metav1.Time{Time: finished.Add(time.Minute)}
	for name, test := range map[string]struct {
		job   *batchv1.Job
		pod   *corev1.Pod
		known bool
		want  bool
	}{
		"controlled":                     {there, aPod("a", "", controller(uid)), false, true},
		"controlled, deleted":            {goes, aPod("a", "", controller(uid)), false, true},
		"of an earlier run":              {there, aPod("a", "", controller("earlier"), labelled(uid)), false, false},
		"adopted by another":             {goes, aPod("a", "", controller("another"), labelled(uid)), true, false},
		"owned, not controlled":          {there, aPod("a", "", owned, labelled(uid)), false, false},
		"labelled":                       {there, aPod("a", "", labelled(uid)), false, false},
		"known, but let go":              {there, aPod("a", "", labelled(uid)), true, false},
		"orphaned":                       {goes, aPod("a", "", labelled(uid), made(finished)), false, true},
		"orphaned, known, no label":      {goes, aPod("a", ""), true, true},
		"no label":                       {goes, aPod("a", "", made(finished)), false, false},
		"of another Job":                 {goes, aPod("a", "", labelled("another"), made(finished)), false, false},
		"labelled after the Job's end":   {goes, aPod("a", "", labelled(uid), made(finished.Add(time.Second))), false, false},
		"orphaned late, known from then": {goes, aPod("a", "", labelled(uid), made(finished.Add(time.Second))), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Owns(test.job, test.pod, test.known); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestIndexes(t *testing.T) {
	for list, want := range map[string]indexes{
		"":               nil,
		"0":              {{0, 0}},
		"0,2-4,7":        {{0, 0}, {2, 4}, {7, 7}},
		"x,-1,3-,4-2,5,": {{5, 5}},
	} {
		got := parseIndexes(list)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(indexRange{})); diff != "" {
			t.Errorf("%q: -want +got\n%s", list, diff)
		}
		for index := -1; index < 9; index++ {
			inside := false
			for _, r := range want {
				inside = inside || r.first <= index && index <= r.last
			}
			if got.has(index) != inside {
				t.Errorf("%q: %d: %t", list, index, !inside)
			}
		}
	}
}

// FuzzMissingPods reads any Job and pod: what is missing is never less than nothing, nor
// more than the status counts.
func FuzzMissingPods(f *testing.F) {
	for _, job := range []*batchv1.Job{
		ended(1, 2, spot), ended(2, 1, inIndexes(3, "0,2"), failedIndexes("1"), changed), {},
	} {
		for _, pod := range []*corev1.Pod{aPod("a", corev1.PodFailed, exits(42), isLeaving), aPod("b", corev1.PodSucceeded, atIndex("2")), {}} {
			rawJob, errJob := json.Marshal(job)
			rawPod, errPod := json.Marshal(pod)
			if err := errors.Join(errJob, errPod); err != nil {
				f.Fatal(err)
			}
			f.Add(rawJob, rawPod)
		}
	}
	f.Fuzz(func(t *testing.T, rawJob, rawPod []byte) {
		job, pod := &batchv1.Job{}, &corev1.Pod{}
		if json.Unmarshal(rawJob, job) != nil || json.Unmarshal(rawPod, pod) != nil {
			return
		}
		counted := max(0, int(job.Status.Succeeded)) + max(0, int(job.Status.Failed)) + len(uncountedPods(job))
		got := MissingPods(job, []*corev1.Pod{pod, pod})
		if got.Pods < 0 || got.Perhaps < 0 || got.Pods+got.Perhaps > counted {
			t.Errorf("%+v of %d", got, counted)
		}
	})
}
