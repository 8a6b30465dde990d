package webhooks

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

// Who asks for results to go is told where nothing deletes them.
func TestResultsTTLWithRetentionOff(t *testing.T) {
	warning := func(ttl string) []string {
		return []string{api.ResultsTTLAnnotation + " " + ttl + " is recorded, but nothing deletes the results: retention is off in this cluster"}
	}
	withTTL := func(object *corev1.Namespace, ttl string) *corev1.Namespace {
		object.Annotations = map[string]string{api.ResultsTTLAnnotation: ttl}
		return object
	}
	for name, tc := range map[string]struct {
		namespace *corev1.Namespace
		job       *jobtest.JobBuilder
		want      []string
	}{
		"nobody asks":           {namespace().Obj(), plainJob(), nil},
		"the Job asks":          {namespace().Obj(), plainJob().Annotation(api.ResultsTTLAnnotation, "7d"), warning("1w")},
		"the Namespace asks":    {withTTL(namespace().Obj(), "1d"), plainJob(), warning("1d")},
		"the Job wants it kept": {withTTL(namespace().Obj(), "1d"), plainJob().Annotation(api.ResultsTTLAnnotation, "never"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			handler := served(&jobHandler{namespaceOptedIn: true, Options: Options{
				Namespaces: namespaces{namespace: tc.namespace}, TTLFloor: ttlFloor, RetentionOff: true,
				// What the operator asks for is not the user's affair.
				Defaults: policy.Defaults{ResultsTTL: &policy.Delay{After: ttlFloor}},
			}})
			_, got := admitted(t, handler, tc.job.Obj())
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			for _, warning := range got {
				if len(warning) > 120 {
					t.Errorf("%d characters: %s", len(warning), warning)
				}
			}
		})
	}
}

func TestCronJobResultsTTLWithRetentionOff(t *testing.T) {
	request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Operation: admissionv1.Create, Namespace: "ns",
		Object: raw(t, plainCronJob().JobAnnotation(api.ResultsTTLAnnotation, "1d").Obj()),
	}}
	for off, want := range map[bool][]string{
		false: nil,
		true:  {api.ResultsTTLAnnotation + " 1d is recorded, but nothing deletes the results: retention is off in this cluster"},
	} {
		response, _ := (&cronJobHandler{retentionOff: off}).answer(t.Context(), request)
		if diff := cmp.Diff(want, response.Warnings); diff != "" || !response.Allowed {
			t.Errorf("off=%t: -want +got\n%s", off, diff)
		}
	}
}
