package job

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
)

var managed = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}

// fullJob has everything that a Job can have and somebody looks at, and some
// that nobody does.
func fullJob() *batchv1.Job {
	job := oneJob().
		Label(api.EnabledLabel, api.True).TemplateLabel(api.EnabledLabel, api.True).TemplateLabel("app", "x").
		Annotation(api.ResultsNameAnnotation, "report-results").Annotation(corev1.LastAppliedConfigAnnotation, "{}").
		Annotation(api.TTLAnnotation, "10").TTL(3600).OwnedBy("batch/v1", "CronJob", "nightly", "cronjob-uid").
		Started(noon).Completed(noon.Add(time.Minute)).Obj()
	job.ResourceVersion, job.Generation, job.ManagedFields = "42", 3, managed
	job.Spec.Template.Annotations = map[string]string{"a": "b"}
	job.Spec.Template.ManagedFields = managed
	job.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data"}}
	job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"controller-uid": "job-uid"}}
	job.Spec.ManualSelector, job.Spec.Parallelism = new(true), new(int32(3))
	job.Status.Succeeded, job.Status.Failed = 3, 1
	return job
}

func TestPruneJob(t *testing.T) {
	job, want := fullJob(), fullJob()
	want.ManagedFields = nil
	delete(want.Annotations, corev1.LastAppliedConfigAnnotation)
	policy.Dropped{AnnotationBytes: len(corev1.LastAppliedConfigAnnotation + "{}")}.Note(want)
	want.Spec.Template = corev1.PodTemplateSpec{}
	pruneJob(job, policy.Defaults{})
	if diff := cmp.Diff(want, job); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Which pods the status counts depends on rules that ignore failures, and on none else.
func TestPruneFailurePolicy(t *testing.T) {
	for action, kept := range map[batchv1.PodFailurePolicyAction]bool{
		batchv1.PodFailurePolicyActionIgnore: true, batchv1.PodFailurePolicyActionFailJob: false,
	} {
		failurePolicy := &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
			{Action: batchv1.PodFailurePolicyActionCount}, {Action: action},
		}}
		job := fullJob()
		job.Spec.PodFailurePolicy = failurePolicy.DeepCopy()
		pruneJob(job, policy.Defaults{})
		if kept && cmp.Diff(failurePolicy, job.Spec.PodFailurePolicy) != "" || !kept && job.Spec.PodFailurePolicy != nil {
			t.Errorf("%s: %+v", action, job.Spec.PodFailurePolicy)
		}
	}
}

// Of the managed fields the names stay by which tools are known.
func TestPruneJobKeepsManagers(t *testing.T) {
	job := fullJob()
	job.ManagedFields = append(job.ManagedFields, metav1.ManagedFieldsEntry{
		Manager: "Terraform", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1("{}"),
	})
	pruneJob(job, policy.Defaults{})
	if diff := cmp.Diff([]metav1.ManagedFieldsEntry{{Manager: "Terraform"}}, job.ManagedFields); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if tool, _ := policy.Tracked(job, policy.LeftAlone{}); tool != "Terraform" {
		t.Errorf("tracked by %q", tool)
	}
}

// While the template can be changed, it is looked whether its pods are opted in.
func TestPruneSuspendedJob(t *testing.T) {
	job := fullJob()
	job.Status, job.Spec.Suspend = batchv1.JobStatus{}, new(true)
	job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobSuspended, Status: corev1.ConditionTrue}}
	if !plan.TemplateMutable(job) {
		t.Fatal("the template of a suspended Job cannot be changed")
	}
	pruneJob(job, policy.Defaults{})
	want := metav1.ObjectMeta{Labels: map[string]string{api.EnabledLabel: api.True}}
	if diff := cmp.Diff(want, job.Spec.Template.ObjectMeta); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A selector is pruned where the UID tells it, and never lost.
func TestPruneSelector(t *testing.T) {
	uid := map[string]string{batchv1.ControllerUidLabel: "job-uid"}
	both := map[string]string{batchv1.ControllerUidLabel: "job-uid", "app": "x"}
	for name, test := range map[string]struct {
		selector *metav1.LabelSelector
		pruned   bool
	}{
		"the API server's own":   {&metav1.LabelSelector{MatchLabels: uid}, true},
		"by another UID":         {&metav1.LabelSelector{MatchLabels: map[string]string{batchv1.ControllerUidLabel: "other"}}, false},
		"by a label":             {&metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}, false},
		"by the UID and a label": {&metav1.LabelSelector{MatchLabels: both}, false},
		"by an expression too": {&metav1.LabelSelector{MatchLabels: uid, MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "app", Operator: metav1.LabelSelectorOpExists},
		}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			job := fullJob()
			job.Spec.Selector = test.selector.DeepCopy()
			pruneJob(job, policy.Defaults{})
			if got := job.Spec.Selector == nil; got != test.pruned {
				t.Errorf("pruned: %t", got)
			}
			if diff := cmp.Diff(test.selector, selectorOf(job)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// What is pruned must not matter to any decision.
func TestPruneJobChangesNoDecision(t *testing.T) {
	for name, change := range map[string]func(*batchv1.Job){
		"stored":       func(job *batchv1.Job) { job.Annotations[api.StatusAnnotation] = api.StatusCompleted },
		"finished":     func(*batchv1.Job) {},
		"held too low": func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = new(int32(1)) },
		"running":      func(job *batchv1.Job) { job.Status = batchv1.JobStatus{} },
		"unstamped": func(job *batchv1.Job) {
			job.Status, job.Labels, job.Spec.Suspend = batchv1.JobStatus{}, nil, new(true)
			job.Spec.Template.Labels = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			whole := fullJob()
			change(whole)
			pruned := whole.DeepCopy()
			pruneJob(pruned, policy.Defaults{})
			want, got := decideOn(whole), decideOn(pruned)
			if want.Desired != nil {
				pruneJob(want.Desired, policy.Defaults{})
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-whole +pruned\n%s", diff)
			}
		})
	}
}

func decideOn(job *batchv1.Job) plan.Decision {
	p, _ := policy.Resolve(job, nil, policy.Defaults{})
	return plan.Decide(plan.Observation{Job: job, Policy: p, TTLFloor: time.Hour}, noon.Add(time.Hour))
}

func fullPod() *corev1.Pod {
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: 1, Reason: "Error", Message: "boom", StartedAt: metav1.NewTime(noon), FinishedAt: metav1.NewTime(noon.Add(time.Second)),
	}}
	statusOf := func(name string) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{
			Name: name, Image: "image", ImageID: "sha256:1", ContainerID: "containerd://1", RestartCount: 2, State: ended, LastTerminationState: ended,
			Ready: true, Started: new(true), Resources: &corev1.ResourceRequirements{},
		}}
	}
	container := func(name string) corev1.Container {
		return corev1.Container{
			Name: name, Image: "image:" + name, Command: []string{"true"}, Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "x"}},
			LivenessProbe: &corev1.Probe{}, VolumeMounts: []corev1.VolumeMount{{Name: "data"}},
		}
	}
	sidecar := container("sidecar")
	sidecar.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: "report-x", UID: "pod-uid", ResourceVersion: "7", ManagedFields: managed,
			CreationTimestamp: metav1.NewTime(noon), Labels: map[string]string{api.EnabledLabel: api.True},
			Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", batchv1.JobCompletionIndexAnnotation: "2"},
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "batch/v1", Kind: "Job", Name: "report", UID: "job-uid", Controller: new(true)},
			},
		},
		Spec: corev1.PodSpec{
			NodeName: "node-1", RestartPolicy: corev1.RestartPolicyOnFailure, Volumes: []corev1.Volume{{Name: "data"}},
			ServiceAccountName: "default", Tolerations: []corev1.Toleration{{Key: "x"}},
			InitContainers: []corev1.Container{container("init"), sidecar},
			Containers:     []corev1.Container{container("main")},
			EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
				Name: "debug", Image: "image:debug", Command: []string{"sh"},
			}}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory",
			InitContainerStatuses: append(statusOf("init"), statusOf("sidecar")...), ContainerStatuses: statusOf("main"),
			EphemeralContainerStatuses: statusOf("debug"),
			HostIP:                     "10.0.0.1", PodIP: "10.1.0.1", StartTime: &metav1.Time{Time: noon},
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady}},
		},
	}
}

// Why a pod was not scheduled is told in the results.
func TestPruneConditions(t *testing.T) {
	unscheduled := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "no node"}
	pod := fullPod()
	pod.Status.Conditions = append(pod.Status.Conditions[1:], unscheduled)
	prunePod(pod)
	if diff := cmp.Diff([]corev1.PodCondition{unscheduled}, pod.Status.Conditions); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestPrunePod(t *testing.T) {
	pod, want := fullPod(), fullPod()
	want.ManagedFields, want.Labels = nil, nil
	delete(want.Annotations, corev1.LastAppliedConfigAnnotation)
	want.Status.Conditions, want.Status.HostIP, want.Status.PodIP, want.Status.StartTime = nil, "", "", nil
	for _, statuses := range [][]corev1.ContainerStatus{
		want.Status.InitContainerStatuses, want.Status.ContainerStatuses, want.Status.EphemeralContainerStatuses,
	} {
		for i := range statuses {
			statuses[i].Resources = nil
		}
	}
	want.Spec = corev1.PodSpec{
		NodeName: "node-1", RestartPolicy: corev1.RestartPolicyOnFailure,
		InitContainers: []corev1.Container{
			{Name: "init", Image: "image:init"},
			{Name: "sidecar", Image: "image:sidecar", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)},
		},
		Containers: []corev1.Container{{Name: "main", Image: "image:main"}},
		EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debug", Image: "image:debug",
		}}},
	}
	prunePod(pod)
	if diff := cmp.Diff(want, pod); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestPruneConditionsOfPolicies(t *testing.T) {
	unscheduled := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "no node"}
	evicted := corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "for another pod",
	}
	got := pruneConditions([]corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}, unscheduled, evicted})
	want := []corev1.PodCondition{unscheduled, evicted}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Whether, and since when, containers are started again tells when their logs are to be
// read.
func TestPruneRestarts(t *testing.T) {
	pod := fullPod()
	pod.Spec.Containers[0].RestartPolicy = new(corev1.ContainerRestartPolicyNever)
	pod.Spec.Containers[0].RestartPolicyRules = make([]corev1.ContainerRestartRule, 20)
	since := metav1.Now()
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
		{Type: corev1.AllContainersRestarting, Status: corev1.ConditionTrue, LastTransitionTime: since, Message: "long"},
	}
	prunePod(pod)
	if rules := pod.Spec.Containers[0].RestartPolicyRules; len(rules) != 1 || !capture.MayRestart(pod) {
		t.Errorf("rules %+v", rules)
	}
	want := corev1.PodCondition{Type: corev1.AllContainersRestarting, Status: corev1.ConditionTrue, LastTransitionTime: since}
	if diff := cmp.Diff(want, pod.Status.Conditions[1]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What is pruned must not be missed in the results.
func TestPrunePodChangesNoResults(t *testing.T) {
	build := func(pod *corev1.Pod) *results.Content {
		run := runWith(whole)
		run.Pods = []results.Pod{{Pod: pod, Logs: []results.ContainerLog{{Container: "main", Capture: rotated}}}}
		run.Outcome, run.CreatedAt = jobstatus.Of(run.Job), noon
		content, err := results.Build(run)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	pruned := fullPod()
	prunePod(pruned)
	if diff := cmp.Diff(build(fullPod()), build(pruned)); diff != "" {
		t.Errorf("-whole +pruned\n%s", diff)
	}
}

func TestPruneTransform(t *testing.T) {
	for name, test := range map[string]struct {
		object any
		want   int
	}{
		"its own kind":   {fullPod(), 0},
		"another object": {fullJob(), 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := prune(prunePod)(test.object)
			if err != nil {
				t.Fatal(err)
			}
			object, ok := got.(client.Object)
			if !ok || got != test.object {
				t.Fatalf("got another object: %T", got)
			}
			if fields := object.GetManagedFields(); len(fields) != test.want {
				t.Errorf("%d managed fields, want %d", len(fields), test.want)
			}
		})
	}
	t.Run("no object at all", func(t *testing.T) {
		if got, err := prune(prunePod)("tombstone"); got != "tombstone" || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
