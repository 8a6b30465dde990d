package policy

import (
	"testing"

	"github.com/job-handler/job-handler/internal/jobtest"
)

func TestTrackedAndHook(t *testing.T) {
	for name, tc := range map[string]struct {
		job           *jobtest.JobBuilder
		tracked, hook string
	}{
		"neither":                 {job(), "", ""},
		"Argo CD":                 {job().Annotation(argoTrackingAnnotation, "app:batch/Job:ns/job"), "Argo CD", ""},
		"Flux Kustomization":      {job().Label(fluxKustomizeLabel, "app"), "Flux", ""},
		"Flux HelmRelease":        {job().Label(fluxHelmLabel, "app"), "Flux", ""},
		"Flux' HelmRelease, both": {job().Label(fluxHelmLabel, "app").Annotation(helmReleaseAnnotation, "app"), "Flux", ""},
		"Helm":                    {job().Annotation(helmReleaseAnnotation, "app"), "Helm", ""},
		"an empty value counts":   {job().Annotation(helmReleaseAnnotation, ""), "Helm", ""},
		"a Helm hook":             {job().Annotation(helmHookAnnotation, "post-install"), "", "Helm"},
		"an Argo CD hook":         {job().Annotation(argoHookAnnotation, "Sync"), "", "Argo CD"},
		"a tracked Argo CD hook":  {job().Annotation(argoHookAnnotation, "Sync").Annotation(argoTrackingAnnotation, "x"), "Argo CD", "Argo CD"},
		"label for annotation":    {job().Label(argoTrackingAnnotation, "x").Label(helmHookAnnotation, "x"), "", ""},
		"annotation for label":    {job().Annotation(fluxKustomizeLabel, "x").Annotation(fluxHelmLabel, "x"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tracked, isTracked := Tracked(tc.job.Obj())
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
