package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

func TestLabelName(t *testing.T) {
	shared := func() *jobtest.JobBuilder { return job().Label("app", "x").TemplateLabel("app", "x") }
	manual := func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
		b.Obj().Spec.ManualSelector = new(true)
		return b
	}
	named := shared().Label("job-name", "job").Label(batchv1.JobNameLabel, "job")
	for name, tc := range map[string]struct{ job, want *jobtest.JobBuilder }{
		"the template's labels":        {shared(), named},
		"labels of its own":            {shared().Label("team", "a"), shared().Label("team", "a")},
		"other values":                 {job().Label("app", "y").TemplateLabel("app", "x"), job().Label("app", "y").TemplateLabel("app", "x")},
		"stamped, and no other labels": {job().Label(api.EnabledLabel, api.True).TemplateLabel(api.EnabledLabel, api.True), job().Label(api.EnabledLabel, api.True).TemplateLabel(api.EnabledLabel, api.True)},
		"none, as the template":        {job(), job()},
		"none of its own":              {job().TemplateLabel("app", "x"), job().TemplateLabel("app", "x")},
		"labelled before":              {named, named},
		"no name yet":                  {shared().GenerateName("job-"), shared().GenerateName("job-")},
		"a selector of the user's":     {manual(shared()), manual(shared())},
		"a name label of the user's":   {shared().Label("job-name", "z").TemplateLabel("job-name", "z"), shared().Label("job-name", "z").TemplateLabel("job-name", "z").Label(batchv1.JobNameLabel, "job")},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.job.Obj().DeepCopy()
			LabelName(got)
			if diff := cmp.Diff(tc.want.Obj(), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestLabelUID(t *testing.T) {
	named := func() *jobtest.JobBuilder { return job().UID("u").Label(batchv1.JobNameLabel, "job") }
	manual := named()
	manual.Obj().Spec.ManualSelector = new(true)
	for name, tc := range map[string]struct{ job, want *jobtest.JobBuilder }{
		"labelled with its name":   {named(), named().Label("controller-uid", "u").Label(batchv1.ControllerUidLabel, "u")},
		"one of them is there":     {named().Label("controller-uid", "v"), named().Label("controller-uid", "v").Label(batchv1.ControllerUidLabel, "u")},
		"no labels":                {job().UID("u"), job().UID("u")},
		"another Job's name":       {job().UID("u").Label(batchv1.JobNameLabel, "x"), job().UID("u").Label(batchv1.JobNameLabel, "x")},
		"no UID yet":               {named().UID(""), named().UID("")},
		"a selector of the user's": {manual, manual},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.job.Obj().DeepCopy()
			LabelUID(got)
			if diff := cmp.Diff(tc.want.Obj(), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
