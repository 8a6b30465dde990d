package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	argoTracking = "argocd.argoproj.io/tracking-id"
	argoHook     = "argocd.argoproj.io/hook"
	fluxKustom   = "kustomize.toolkit.fluxcd.io/name"
	fluxHelm     = "helm.toolkit.fluxcd.io/name"
	helmRelease  = "meta.helm.sh/release-name"
	helmHook     = "helm.sh/hook"
)

func makeJob() *jobtest.JobBuilder { return jobtest.MakeJob("team", "report").UID("job-uid") }

func byCronJob() *jobtest.JobBuilder {
	return makeJob().OwnedBy("batch/v1", "CronJob", "nightly", "cronjob-uid")
}

// plainly adds owners that are not the controller.
func plainly(job *batchv1.Job, owners ...metav1.OwnerReference) *batchv1.Job {
	job.OwnerReferences = append(job.OwnerReferences, owners...)
	return job
}

// writtenBy adds a client to those that wrote the Job.
func writtenBy(job *batchv1.Job, manager string) *batchv1.Job {
	job.ManagedFields = append(job.ManagedFields, metav1.ManagedFieldsEntry{Manager: manager})
	return job
}

func TestOwnershipOf(t *testing.T) {
	configMap := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "settings", UID: "cm-uid"}
	cronJob := metav1.OwnerReference{APIVersion: "batch/v1", Kind: "CronJob", Name: "nightly", UID: "cronjob-uid"}
	ours := Ownership{Ours: true}
	for name, test := range map[string]struct {
		job  *batchv1.Job
		want Ownership
	}{
		"nobody's":                         {makeJob().Obj(), ours},
		"managed by the Job controller":    {makeJob().ManagedBy("kubernetes.io/job-controller").Obj(), ours},
		"managed by nobody, spelt out":     {makeJob().ManagedBy("").Obj(), ours},
		"a CronJob's":                      {byCronJob().Obj(), ours},
		"a CronJob's, JobSet nowhere":      {byCronJob().Label("jobset.sigs.k8s.io/jobset-name", "x").Obj(), ours},
		"other labels and annotations":     {makeJob().Label("app", "x").Annotation("team", "y").Obj(), ours},
		"Argo CD's instance label alone":   {makeJob().Label("app.kubernetes.io/instance", "x").Obj(), ours},
		"a tracking key as the wrong kind": {makeJob().Label(argoTracking, "x").Annotation(fluxKustom, "y").Obj(), ours},

		"managed by another": {
			makeJob().ManagedBy("kueue.x-k8s.io/multikueue").Obj(),
			Ownership{Why: "spec.managedBy is kueue.x-k8s.io/multikueue"},
		},
		"a Helm hook":      {makeJob().Annotation(helmHook, "pre-install").Obj(), Ownership{Why: "it is a hook (Helm)"}},
		"an Argo CD hook":  {makeJob().Annotation(argoHook, "Sync").Obj(), Ownership{Why: "it is a hook (Argo CD)"}},
		"Argo CD's":        {makeJob().Annotation(argoTracking, "app:batch/Job:team/report").Obj(), Ownership{Why: "it is tracked (Argo CD)"}},
		"Flux kustomize's": {makeJob().Label(fluxKustom, "apps").Obj(), Ownership{Why: "it is tracked (Flux)"}},
		"Flux Helm's":      {makeJob().Label(fluxHelm, "apps").Obj(), Ownership{Why: "it is tracked (Flux)"}},
		"Helm's":           {makeJob().Annotation(helmRelease, "web").Obj(), Ownership{Why: "it is tracked (Helm)"}},
		"Argo CD's, by instance label and manager": {
			writtenBy(makeJob().Label("app.kubernetes.io/instance", "x").Obj(), "argocd-controller"),
			Ownership{Why: "it is tracked (Argo CD)"},
		},
		"the operator's": {
			makeJob().Annotation("example.com/source", "git").Obj(),
			Ownership{Why: "it is tracked (annotation example.com/source=git)"},
		},
		"of another value than the operator's": {makeJob().Annotation("example.com/source", "hand").Obj(), ours},
		"Fleet's": {
			makeJob().Label("objectset.rio.cattle.io/hash", "x").Obj(), Ownership{Why: "it is tracked (Rancher Fleet)"},
		},
		"an empty tracking id": {
			makeJob().Annotation(argoTracking, "").Obj(), Ownership{Why: "it is tracked (Argo CD)"},
		},

		"another controller's": {
			makeJob().OwnedBy("jobset.x-k8s.io/v1alpha2", "JobSet", "training", "u").Obj(),
			Ownership{Why: "it is owned by JobSet training"},
		},
		"a CronJob of another group": {
			makeJob().OwnedBy("example.com/v1", "CronJob", "nightly", "u").Obj(),
			Ownership{Why: "it is owned by CronJob nightly"},
		},
		"another kind of batch/v1": {
			makeJob().OwnedBy("batch/v1", "Job", "parent", "u").Obj(),
			Ownership{Why: "it is owned by Job parent"},
		},
		"an owner that is no controller": {
			plainly(makeJob().Obj(), configMap), Ownership{Why: "it is owned by ConfigMap settings"},
		},
		"a CronJob's that is no controller": {plainly(makeJob().Obj(), cronJob), ours},
		"a CronJob's that is no controller, tracked": {
			plainly(makeJob().Annotation(helmRelease, "web").Obj(), cronJob), Ownership{Why: "it is tracked (Helm)"},
		},
		"two CronJobs'": {
			plainly(makeJob().Obj(), cronJob, cronJob), Ownership{Why: "it is owned by CronJob nightly, CronJob nightly"},
		},
		"a CronJob of another group that is no controller": {
			plainly(makeJob().Obj(), metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "CronJob", Name: "nightly", UID: "u"}),
			Ownership{Why: "it is owned by CronJob nightly"},
		},
		"a CronJob's and another's": {
			plainly(byCronJob().Obj(), configMap),
			Ownership{Why: "it is owned by CronJob nightly, ConfigMap settings"},
		},

		"managed by another and a hook": {
			makeJob().ManagedBy("x.io/y").Annotation(helmHook, "test").Obj(), Ownership{Why: "spec.managedBy is x.io/y"},
		},
		"a tracked hook": {
			makeJob().Annotation(argoHook, "Sync").Annotation(argoTracking, "x").Obj(),
			Ownership{Why: "it is a hook (Argo CD)"},
		},
		"a CronJob's and tracked": {
			byCronJob().Annotation(helmRelease, "web").Obj(), Ownership{Why: "it is tracked (Helm)"},
		},
		"a CronJob's and managed by another": {
			byCronJob().ManagedBy("x.io/y").Obj(), Ownership{Why: "spec.managedBy is x.io/y"},
		},
		"a CronJob's hook": {
			byCronJob().Annotation(helmHook, "test").Obj(), Ownership{Why: "it is a hook (Helm)"},
		},
		"another's and tracked": {
			makeJob().OwnedBy("v1", "Pod", "p", "u").Label(fluxHelm, "x").Obj(), Ownership{Why: "it is tracked (Flux)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, OwnershipOf(test.job, policy.LeftAlone{Annotations: []policy.Mark{{Key: "example.com/source", Value: new("git")}}})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestCronJobOf(t *testing.T) {
	type found struct {
		Owner Owner
		Is    bool
	}
	nightly := found{Owner{Name: "nightly", UID: "cronjob-uid"}, true}
	plain := metav1.OwnerReference{APIVersion: "batch/v1", Kind: "CronJob", Name: "nightly", UID: "cronjob-uid"}
	pod := metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "pod-uid"}
	for name, test := range map[string]struct {
		job         *batchv1.Job
		want, named found
	}{
		"nobody's":                       {makeJob().Obj(), found{}, found{}},
		"a CronJob's":                    {byCronJob().Obj(), nightly, nightly},
		"a CronJob's and another's":      {plainly(byCronJob().Obj(), pod), nightly, nightly},
		"another controller's":           {makeJob().OwnedBy("v1", "Pod", "p", "pod-uid").Obj(), found{}, found{}},
		"a CronJob of another group":     {makeJob().OwnedBy("example.com/v1", "CronJob", "nightly", "u").Obj(), found{}, found{}},
		"a Job of batch/v1":              {makeJob().OwnedBy("batch/v1", "Job", "parent", "u").Obj(), found{}, found{}},
		"a CronJob that is an owner":     {plainly(makeJob().Obj(), plain), found{}, nightly},
		"such a one after another":       {plainly(makeJob().Obj(), pod, plain), found{}, nightly},
		"such a one, and a controller's": {plainly(makeJob().OwnedBy("v1", "Pod", "p", "u").Obj(), plain), found{}, found{}},
	} {
		t.Run(name, func(t *testing.T) {
			var got, named found
			got.Owner, got.Is = CronJobOf(test.job)
			named.Owner, named.Is = NamedCronJob(test.job)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if diff := cmp.Diff(test.named, named); diff != "" {
				t.Errorf("named: -want +got\n%s", diff)
			}
		})
	}
}
