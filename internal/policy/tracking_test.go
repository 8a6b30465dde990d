package policy

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// written adds what the API server records of clients that wrote the Job.
func written(b *jobtest.JobBuilder, managers ...string) *jobtest.JobBuilder {
	for _, manager := range managers {
		b.Obj().ManagedFields = append(b.Obj().ManagedFields, metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: "batch/v1",
			Time: &metav1.Time{Time: time.Unix(1, 0)}, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`),
		})
	}
	return b
}

func TestTrackedAndHook(t *testing.T) {
	for name, tc := range map[string]struct {
		job           *jobtest.JobBuilder
		tracked, hook string
	}{
		"neither":                 {job(), "", ""},
		"Argo CD":                 {job().Annotation(argoTrackingAnnotation, "app:batch/Job:ns/job"), "Argo CD", ""},
		"Argo CD by its label":    {job().Label(argoInstanceLabel, "app"), "Argo CD", ""},
		"Argo CD before 3.0":      {written(job().Label(instanceLabel, "app"), "argocd-controller"), "Argo CD", ""},
		"Argo CD before 2.5":      {written(job().Label(instanceLabel, "app"), "x", "argocd-application-controller"), "Argo CD", ""},
		"Flux Kustomization":      {job().Label(fluxKustomizeLabel, "app"), "Flux", ""},
		"Flux HelmRelease":        {job().Label(fluxHelmLabel, "app"), "Flux", ""},
		"Flux' HelmRelease, both": {job().Label(fluxHelmLabel, "app").Annotation(helmReleaseAnnotation, "app"), "Flux", ""},
		"Helm":                    {job().Annotation(helmReleaseAnnotation, "app"), "Helm", ""},
		"an empty value counts":   {job().Annotation(helmReleaseAnnotation, ""), "Helm", ""},
		"Fleet's label":           {job().Label("objectset.rio.cattle.io/hash", "1f"), "Rancher Fleet", ""},
		"Fleet's annotation":      {job().Annotation("objectset.rio.cattle.io/id", "default-x"), "Rancher Fleet", ""},
		"Config Sync":             {job().Annotation("configmanagement.gke.io/managed", "enabled"), "Config Sync", ""},
		"Config Sync's id":        {job().Annotation("configsync.gke.io/resource-id", "batch_job_ns_job"), "Config Sync", ""},
		"kapp":                    {job().Label("kapp.k14s.io/app", "1654770079912481700"), "kapp", ""},
		"an ApplySet":             {job().Label("applyset.kubernetes.io/part-of", "applyset-x-v1"), "kubectl apply --applyset", ""},
		"MultiKueue's copy":       {job().Label("kueue.x-k8s.io/multikueue-origin", "multikueue"), "MultiKueue", ""},
		"a Crossplane composite":  {job().Label("crossplane.io/composite", "x"), "Crossplane", ""},
		"provider-kubernetes":     {written(job(), "provider-kubernetes/report"), "Crossplane", ""},
		"and without SSA":         {written(job(), "crossplane-kubernetes-provider"), "Crossplane", ""},
		"Terraform's manifest":    {written(job(), "kubectl", "Terraform"), "Terraform", ""},
		"Terraform's Job":         {written(job(), "HashiCorp"), "Terraform", ""},
		"Pulumi":                  {written(job(), "pulumi-kubernetes-31df3088"), "Pulumi", ""},
		"a Helm hook":             {job().Annotation(helmHookAnnotation, "post-install"), "", "Helm"},
		"an Argo CD hook":         {job().Annotation(argoHookAnnotation, "Sync"), "", "Argo CD"},
		"a tracked Argo CD hook":  {job().Annotation(argoHookAnnotation, "Sync").Annotation(argoTrackingAnnotation, "x"), "Argo CD", "Argo CD"},

		"label for annotation":          {job().Label(argoTrackingAnnotation, "x").Label(helmHookAnnotation, "x"), "", ""},
		"annotation for label":          {job().Annotation(fluxKustomizeLabel, "x").Annotation(fluxHelmLabel, "x"), "", ""},
		"an instance, no Argo CD":       {written(job().Label(instanceLabel, "app"), "kubectl-client-side-apply", "helm"), "", ""},
		"Argo CD's name, no instance":   {written(job(), "argocd-controller"), "", ""},
		"a name that only starts alike": {written(job().Label(instanceLabel, "app"), "argocd-controller2", "Terraforms"), "", ""},
		"Config Sync's key, switched":   {job().Annotation("configmanagement.gke.io/managed", "disabled"), "", ""},
		"people's clients":              {written(job(), "kubectl-create", "kubectl", "kubectl-client-side-apply", "job-handler"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tracked, isTracked := Tracked(tc.job.Obj(), LeftAlone{})
			if tracked != tc.tracked || isTracked != (tc.tracked != "") {
				t.Errorf("Tracked = %q, %v", tracked, isTracked)
			}
			hook, isHook := Hook(tc.job.Obj())
			if hook != tc.hook || isHook != (tc.hook != "") {
				t.Errorf("Hook = %q, %v", hook, isHook)
			}
		})
	}
}

// Every row says which tool it is about, by what the tool is known and who says so.
func TestMarksAreWhole(t *testing.T) {
	for _, m := range marks {
		if m.tool == "" || m.source == "" || m.label+m.annotation+m.manager == "" || m.label != "" && m.annotation != "" {
			t.Errorf("%+v", m)
		}
	}
}

// What a cache keeps tells as much as the whole object.
func TestLooksAndKeepManagersAreEnough(t *testing.T) {
	keys := []string{"app", "kubectl.kubernetes.io/last-applied-configuration", helmHookAnnotation, argoHookAnnotation, api.EnabledLabel}
	managers := []string{"kubectl", "kube-controller-manager", api.ManagerName}
	for _, m := range marks {
		for _, key := range []string{m.label, m.annotation} {
			if key != "" {
				keys = append(keys, strings.Replace(key, "*", "x", 1))
			}
		}
		if m.manager != "" {
			managers = append(managers, strings.Replace(m.manager, "*", "x", 1))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		whole := written(job(), rapid.SliceOfN(rapid.SampledFrom(managers), 0, 3).Draw(t, "managers")...)
		for _, key := range rapid.SliceOfN(rapid.SampledFrom(keys), 0, 2).Draw(t, "labels") {
			whole.Label(key, rapid.SampledFrom([]string{"", "enabled", "x"}).Draw(t, "value"))
		}
		for _, key := range rapid.SliceOfN(rapid.SampledFrom(keys), 0, 2).Draw(t, "annotations") {
			whole.Annotation(key, rapid.SampledFrom([]string{"", "enabled", "x"}).Draw(t, "value"))
		}
		pruned := whole.Obj().DeepCopy()
		pruned.ManagedFields = KeepManagers(pruned.ManagedFields)
		for _, m := range []map[string]string{pruned.Labels, pruned.Annotations} {
			for key := range m {
				if !Looks(key, LeftAlone{}) {
					delete(m, key)
				}
			}
		}
		tool, tracked := Tracked(whole.Obj(), LeftAlone{})
		if kept, is := Tracked(pruned, LeftAlone{}); kept != tool || is != tracked {
			t.Fatalf("tracked by %q, and pruned by %q", tool, kept)
		}
		hook, _ := Hook(whole.Obj())
		if kept, _ := Hook(pruned); kept != hook {
			t.Fatalf("a hook of %q, and pruned of %q", hook, kept)
		}
	})
}

func TestLooks(t *testing.T) {
	for key, want := range map[string]bool{
		api.EnabledLabel: true, api.TTLAnnotation: true, "job-name": true, "batch.kubernetes.io/controller-uid": true,
		"objectset.rio.cattle.io/hash": true, instanceLabel: true, helmHookAnnotation: true,
		"app": false, "kubectl.kubernetes.io/last-applied-configuration": false, "objectset.rio.cattle.io": false, "": false,
	} {
		if Looks(key, LeftAlone{}) != want {
			t.Errorf("Looks(%q) = %v", key, !want)
		}
	}
}

func TestKeepManagers(t *testing.T) {
	given := written(job(), "kubectl", "Terraform", "Terraform", "argocd-controller").Obj()
	want := []metav1.ManagedFieldsEntry{{Manager: "Terraform"}, {Manager: "argocd-controller"}}
	if diff := cmp.Diff(want, KeepManagers(given.ManagedFields)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if kept := KeepManagers(written(job(), "kubectl").Obj().ManagedFields); kept != nil {
		t.Errorf("kept %v", kept)
	}
}

// The page about other tools has each mark.
func TestDocsNameEveryMark(t *testing.T) {
	page, err := os.ReadFile("../../docs/working-with.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marks {
		if !strings.Contains(string(page), m.tool) {
			t.Errorf("docs/working-with.md lacks %s", m.tool)
		}
		for _, name := range []string{m.label, m.annotation, m.manager} {
			if name != "" && !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), "`"+name+": "+m.value+"`") {
				t.Errorf("docs/working-with.md lacks `%s` of %s", name, m.tool)
			}
		}
	}
}
