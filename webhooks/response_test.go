package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/policy"
)

func decoded(t *testing.T, object []byte) map[string]any {
	t.Helper()
	var result map[string]any
	if err := json.Unmarshal(object, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// panicking panics whatever it is asked.
type panicking struct{}

func (panicking) answer(context.Context, admission.Request) (admission.Response, policy.AdmissionResult) {
	panic("x")
}

// TestOutOfTheWay holds that whatever goes wrong in a handler, the object is
// admitted as it is, with a warning.
func TestOutOfTheWay(t *testing.T) {
	jobs, cronJobs := handlerFor(inLabelled, namespace()), outOfTheWay(policy.AdmissionCronJob, nil, &cronJobHandler{})
	panics := outOfTheWay(policy.AdmissionJob, nil, panicking{})
	for name, tc := range map[string]struct {
		handler  admission.Handler
		operated string
		raw, old string
	}{
		"a panic":                   {panics, "CREATE", `{}`, ``},
		"a Job that is no JSON":     {jobs, "CREATE", `{`, ``},
		"a Job that is empty":       {jobs, "CREATE", ``, ``},
		"a Job of other types":      {jobs, "CREATE", `{"spec":{"template":[]}}`, ``},
		"a CronJob that is no JSON": {cronJobs, "CREATE", `{`, ``},
		"an old CronJob missing":    {cronJobs, "UPDATE", `{}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			request := admission.Request{}
			request.Operation = operation(tc.operated)
			request.Kind.Kind = "Job"
			request.Object, request.OldObject = runtime.RawExtension{Raw: []byte(tc.raw)}, runtime.RawExtension{Raw: []byte(tc.old)}
			response := tc.handler.Handle(t.Context(), request)
			if !response.Allowed || response.Patches != nil {
				t.Errorf("%+v", response)
			}
			want := []string{"Job Handler could not read this Job: admitted as it is"}
			if diff := cmp.Diff(want, response.Warnings); diff != "" {
				t.Errorf("warnings -want +got\n%s", diff)
			}
		})
	}
}

func TestPatchedReportsWhatCannotBeEncoded(t *testing.T) {
	unencodable := make(chan int)
	for _, pair := range [][2]any{{unencodable, 1}, {1, unencodable}} {
		if _, err := patched(pair[0], pair[1], nil); err == nil {
			t.Errorf("patched(%v) gave no error", pair)
		}
	}
}

func TestBoundedWarnings(t *testing.T) {
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	if diff := cmp.Diff(many[:16], bounded(many[:16])); diff != "" {
		t.Errorf("at the limit: %s", diff)
	}
	want := append(append([]string{}, many[:15]...), "and 25 more warnings of Job Handler")
	if diff := cmp.Diff(want, bounded(many)); diff != "" {
		t.Errorf("above it -want +got\n%s", diff)
	}
	if many[15] != "15" {
		t.Error("the argument changed")
	}
}

// TestJobArbitraryBytes holds that no input leads to a refusal for another
// cause than an invalid value.
func TestJobArbitraryBytes(t *testing.T) {
	handler := handlerFor(inLabelled, nil)
	rapid.Check(t, func(rt *rapid.T) {
		metadata := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			`{}`, `null`, `[]`, `{"annotations":null}`, `{"annotations":{"job-handler/log-mode":"x"}}`, `{"labels":{"job-handler/enabled":1}}`,
		})).Draw(rt, "metadata")
		request := admission.Request{}
		request.Operation = operation("CREATE")
		request.Object.Raw = []byte(`{"metadata":` + metadata + `}`)
		response := handler.Handle(t.Context(), request)
		if err := response.Complete(request); err != nil {
			rt.Fatal(err)
		}
		if !response.Allowed && response.Result.Code != http.StatusUnprocessableEntity {
			rt.Fatalf("%+v", response.Result)
		}
	})
}
