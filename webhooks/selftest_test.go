package webhooks

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

func probe(namespace string) *jobtest.JobBuilder {
	return jobtest.MakeJob(namespace, "job").Label(api.EnabledLabel, api.True).Label(api.SelfTestLabel, api.True).
		Annotation(api.SelfTestAnnotation, "word").TTL(60)
}

// TestSelfTest has a row for the manager's own probe and for what is like it.
func TestSelfTest(t *testing.T) {
	const own, other = "manager", "ns"
	stamp := func(job *jobtest.JobBuilder) *jobtest.JobBuilder {
		return job.TemplateLabel(api.EnabledLabel, api.True).Annotation(api.ResultsNameAnnotation, "job-results").
			TTL(3600).Annotation(api.TTLAnnotation, "60;raised=3600")
	}
	for name, tc := range map[string]struct {
		dryRun    bool
		job, want *jobtest.JobBuilder
		warnings  int
	}{
		"the probe":                         {true, probe(own), stamp(probe(own)).Annotation(api.SelfTestAnswerAnnotation, "word"), 0},
		"an earlier answer":                 {true, probe(own).Annotation(api.SelfTestAnswerAnnotation, "old"), stamp(probe(own)).Annotation(api.SelfTestAnswerAnnotation, "word"), 0},
		"created for good":                  {false, probe(own), probe(own), 0},
		"without the label":                 {true, jobtest.MakeJob(own, "job").Label(api.EnabledLabel, api.True), jobtest.MakeJob(own, "job").Label(api.EnabledLabel, api.True), 0},
		"in a Namespace of others":          {true, probe(other), stamp(probe(other)), 2},
		"in a Namespace of others, created": {false, probe(other), stamp(probe(other)), 2},
	} {
		t.Run(name, func(t *testing.T) {
			handler := served(&jobHandler{Options: Options{
				Namespaces: namespaces{}, TTLFloor: ttlFloor, ExcludedNamespaces: []string{"kube-system", own},
			}})
			got, warnings := admittedAs(t, handler, tc.job.Obj(), tc.dryRun)
			if diff := cmp.Diff(tc.want.Obj(), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if len(warnings) != tc.warnings {
				t.Errorf("warnings: %q", warnings)
			}
		})
	}
}

func TestSelfTestUnread(t *testing.T) {
	request := creation(t, &batchv1.Job{})
	request.Namespace, request.DryRun, request.Object.Raw = "manager", new(true), []byte("{")
	handler := served(&jobHandler{Options: Options{ExcludedNamespaces: []string{"manager"}}})
	if response := handler.Handle(t.Context(), request); !response.Allowed || response.Patches != nil {
		t.Errorf("%+v", response)
	}
}
