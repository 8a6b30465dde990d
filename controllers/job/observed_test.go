package job

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/why"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

func oneJob() *jobtest.JobBuilder { return jobtest.MakeJob("team", "report").UID("job-uid") }

func podOf(uid types.UID, phase corev1.PodPhase, owners ...metav1.OwnerReference) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: string(uid), UID: uid, OwnerReferences: owners},
		Status:     corev1.PodStatus{Phase: phase},
	}
}

func ownedBy(kind string, uid types.UID) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "batch/v1", Kind: kind, Name: "report", UID: uid, Controller: new(true)}
}

// labelled returns the pod with the labels that the Job controller gives it.
func labelled(pod corev1.Pod) corev1.Pod {
	pod.Labels = map[string]string{batchv1.ControllerUidLabel: "job-uid", batchv1.JobNameLabel: "report", "app": "x"}
	return pod
}

func TestOwned(t *testing.T) {
	plain := ownedBy("Job", "job-uid")
	plain.Controller = nil
	items := []corev1.Pod{
		podOf("a", corev1.PodSucceeded, ownedBy("Job", "job-uid")),
		podOf("nobody's, whatever its labels say", corev1.PodSucceeded),
		podOf("of an earlier run", corev1.PodSucceeded, ownedBy("Job", "earlier-uid")),
		podOf("owned, not controlled", corev1.PodSucceeded, plain),
		podOf("b", corev1.PodRunning, plain, ownedBy("Job", "job-uid")),
	}
	pods := (&podReader{podLogs: &podlogs.Keeper{}}).owned(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{UID: "job-uid"}}, items)
	if diff := cmp.Diff([]types.UID{"a", "b"}, podUIDs(pods)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestAllEnded(t *testing.T) {
	for name, test := range map[string]struct {
		phases []corev1.PodPhase
		want   bool
	}{
		"none":             {nil, true},
		"succeeded":        {[]corev1.PodPhase{corev1.PodSucceeded}, true},
		"failed":           {[]corev1.PodPhase{corev1.PodFailed}, true},
		"both":             {[]corev1.PodPhase{corev1.PodSucceeded, corev1.PodFailed}, true},
		"one still runs":   {[]corev1.PodPhase{corev1.PodSucceeded, corev1.PodRunning}, false},
		"one never ran":    {[]corev1.PodPhase{corev1.PodPending, corev1.PodFailed}, false},
		"nobody can tell":  {[]corev1.PodPhase{corev1.PodUnknown}, false},
		"nothing was told": {[]corev1.PodPhase{""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var pods []*corev1.Pod
			for _, phase := range test.phases {
				pods = append(pods, new(podOf("a", phase)))
			}
			if got := allEnded(pods); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestJobOfPod(t *testing.T) {
	for name, test := range map[string]struct {
		pod  corev1.Pod
		want []string
	}{
		"a Job's":    {podOf("a", "", ownedBy("Job", "job-uid")), []string{"job-uid"}},
		"nobody's":   {podOf("a", ""), nil},
		"another's":  {labelled(podOf("a", "", ownedBy("ReplicaSet", "uid"))), nil},
		"only owned": {podOf("a", "", metav1.OwnerReference{Kind: "Job", UID: "job-uid"}), nil},
		"orphaned":   {labelled(podOf("a", "")), []string{"job-uid"}},
		"a Job's, labelled for another": {
			labelled(podOf("a", "", ownedBy("Job", "another-uid"))), []string{"another-uid"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			prunePod(&test.pod)
			if diff := cmp.Diff(test.want, jobOfPod(&test.pod)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestLeftCache(t *testing.T) {
	raised := func() *jobtest.JobBuilder { return oneJob().TTL(3600).Annotation(api.TTLAnnotation, "10") }
	for name, test := range map[string]struct {
		object client.Object
		want   bool
	}{
		"nothing of ours on it":     {oneJob().TTL(10).Obj(), true},
		"a TTL of ours on it":       {raised().Obj(), true},
		"stored, so it was deleted": {raised().Annotation(api.StatusAnnotation, api.StatusCompleted).Obj(), false},
		"not a Job":                 {&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "job-uid"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := Reconciler{Ledger: &ledger.Ledger{}, PodLogs: &podlogs.Keeper{}}
			r.Ledger.Reading(oneJob().Obj(), noon)
			if got := r.leftCache(event.DeleteEvent{Object: test.object}); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
			_, isJob := test.object.(*batchv1.Job)
			if remembered := r.Ledger.Unstored(oneJob().Obj()); remembered == isJob {
				t.Errorf("remembered: %t", remembered)
			}
		})
	}
}

func TestRecheck(t *testing.T) {
	for interval, want := range map[time.Duration]ctrl.Result{
		0:                {},
		30 * time.Second: {RequeueAfter: 30 * time.Second, Priority: new(-10)},
	} {
		if diff := cmp.Diff(want, recheck(interval)); diff != "" {
			t.Errorf("%s: -want +got\n%s", interval, diff)
		}
	}
}

// An invalid annotation is worth a Warning, but not the name that we wrote.
func TestComplaints(t *testing.T) {
	const name, mode = "metadata.annotations[job-handler/results-name]", "metadata.annotations[job-handler/log-mode]"
	bad := func() *jobtest.JobBuilder {
		return oneJob().Annotation(api.ResultsNameAnnotation, "report-results-1b9d6bcd").Annotation(api.LogModeAnnotation, "x")
	}
	for test, c := range map[string]struct {
		job  *batchv1.Job
		want []string
	}{
		"nothing wrong":     {oneJob().Obj(), nil},
		"a wish":            {bad().Obj(), []string{name, mode}},
		"the final name":    {bad().Annotation(api.StatusAnnotation, api.StatusFailed).Obj(), []string{mode}},
		"nothing but names": {oneJob().Annotation(api.ResultsNameAnnotation, "x").Annotation(api.StatusAnnotation, "x").Obj(), nil},
	} {
		t.Run(test, func(t *testing.T) {
			_, problems := policy.Resolve(c.job, nil, policy.Defaults{})
			var got []string
			for _, problem := range complaints(c.job, problems.Job) {
				got = append(got, problem.Field)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestChosenLabels(t *testing.T) {
	job := oneJob().Label("app", "etl").Label("team", "").Label("secret", "x").Obj()
	want := map[string]string{"app": "etl", "team": ""}
	if diff := cmp.Diff(want, chosenLabels(job, []string{"app", "team", "absent"})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := chosenLabels(job, nil); len(got) > 0 {
		t.Errorf("got %v, though none was asked for", got)
	}
}

func TestReason(t *testing.T) {
	explained := why.Explanation{Reason: "ErrImagePull", Pod: "p", Detail: "what a server said"}
	for want, test := range map[string]struct {
		outcome     jobstatus.Outcome
		explanation why.Explanation
	}{
		"BackoffLimitExceeded: too often": {outcome: jobstatus.Outcome{Reason: "BackoffLimitExceeded", Message: "too often"}},
		"BackoffLimitExceeded":            {outcome: jobstatus.Outcome{Reason: "BackoffLimitExceeded"}},
		": too often":                     {outcome: jobstatus.Outcome{Message: "too often"}},
		"":                                {},
		"BackoffLimitExceeded: too often; pod p: ErrImagePull": {
			jobstatus.Outcome{Reason: "BackoffLimitExceeded", Message: "too often."}, explained,
		},
	} {
		if got := reason(test.outcome, test.explanation); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
