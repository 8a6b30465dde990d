package webhooks

import (
	"encoding/json"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

// mostOfAnAnswer bounds messages and warnings, in bytes: they repeat parts of
// what a user wrote.
const mostOfAnAnswer = 64 << 10

func checkAnswer(t *testing.T, response admission.Response) {
	t.Helper()
	size := 0
	for _, warning := range response.Warnings {
		size += len(warning)
		if strings.Contains(warning, "could not read this") && !response.Allowed {
			t.Fatalf("refused unseen: %v", response.Warnings)
		}
	}
	if response.Result != nil {
		size += len(response.Result.Message)
	}
	if len(response.Warnings) > maxWarnings || size > mostOfAnAnswer {
		t.Fatalf("%d warnings, %d bytes", len(response.Warnings), size)
	}
}

// FuzzJobHandler sends whatever an API server, or somebody in its place, may
// send: nothing panics, nothing with an owner is refused, and the patch applies
// to what was sent.
func FuzzJobHandler(f *testing.F) {
	for _, b := range []*jobtest.JobBuilder{
		jobtest.MakeJob("ns", "job").Annotation(api.LogModeAnnotation, "x").Annotation(api.StatusAnnotation, "completed"),
		jobtest.MakeJob("ns", "job").OwnedBy("batch/v1", "CronJob", "c", "u").TTL(-1).Annotation(api.ResultsNameAnnotation, "kube-root-ca.crt"),
		jobtest.MakeJob("ns", "").GenerateName("job-").Label(api.EnabledLabel, "TRUE"),
	} {
		raw, err := json.Marshal(b.Obj())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, "CREATE", "ns", true)
	}
	f.Add([]byte(`{"metadata":{"annotations":{"a":null},"labels":null},"spec":{"unknown":[1e999]},"spec":null}`), "CREATE", "ns", true)
	f.Add([]byte(strings.Repeat("[", 20_000)), "CREATE", "", false)
	f.Fuzz(func(t *testing.T, raw []byte, operation, in string, labelled bool) {
		request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			Operation: admissionv1.Operation(operation), Namespace: in, Object: runtime.RawExtension{Raw: raw},
		}}
		response := handlerFor(labelled, nil).Handle(t.Context(), request)
		checkAnswer(t, response)
		job := &batchv1.Job{}
		if json.Unmarshal(raw, job) != nil {
			if !response.Allowed || len(response.Patches) > 0 {
				t.Fatalf("no Job: %+v", response)
			}
			return
		}
		if !response.Allowed {
			if len(job.OwnerReferences) > 0 {
				t.Fatalf("refused, though it is owned: %s", response.Result.Message)
			}
			return
		}
		checkPatch(t, job, response)
	})
}

// checkPatch applies the patch to the Job as the API server has it: typed.
func checkPatch(t *testing.T, job *batchv1.Job, response admission.Response) {
	t.Helper()
	if len(response.Patches) == 0 {
		return
	}
	sent, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(response.Patches)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonpatch.DecodePatch(encoded)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := patch.Apply(sent)
	if err != nil {
		t.Fatalf("applying %s to %s: %v", encoded, sent, err)
	}
	stamped := &batchv1.Job{}
	if err := json.Unmarshal(stored, stamped); err != nil {
		t.Fatal(err)
	}
	if stamped.Annotations[api.StatusAnnotation] != "" && stamped.Labels[api.EnabledLabel] == api.True {
		t.Fatalf("a forged status stays: %s", stored)
	}
}

// FuzzCronJobHandler does the same with CronJobs, new and old.
func FuzzCronJobHandler(f *testing.F) {
	raw, err := json.Marshal(jobtest.MakeCronJob("ns", "c").JobAnnotation(api.LogModeAnnotation, "x").History(0, -1).Obj())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, []byte(`{}`), "CREATE")
	f.Add(raw, raw, "UPDATE")
	f.Add([]byte(`{"spec":{"jobTemplate":{"metadata":null}}}`), []byte(`[]`), "UPDATE")
	f.Fuzz(func(t *testing.T, raw, old []byte, operation string) {
		request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			Operation: admissionv1.Operation(operation),
			Object:    runtime.RawExtension{Raw: raw}, OldObject: runtime.RawExtension{Raw: old},
		}}
		response := outOfTheWay(policy.AdmissionCronJob, nil, &cronJobHandler{}).Handle(t.Context(), request)
		checkAnswer(t, response)
		if len(response.Patches) > 0 {
			t.Fatalf("a validator patches: %v", response.Patches)
		}
		if string(raw) == string(old) && operation == string(admissionv1.Update) && !response.Allowed {
			t.Fatalf("an update that changes nothing is refused: %s", response.Result.Message)
		}
	})
}
