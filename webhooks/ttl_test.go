package webhooks

import (
	"encoding/json"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

func handledJob() *jobtest.JobBuilder {
	return jobtest.MakeJob("ns", "job").Label(api.EnabledLabel, api.True)
}

func raisedJob() *jobtest.JobBuilder {
	return handledJob().TTL(3600).Annotation(api.TTLAnnotation, "30;raised=3600")
}

func update(t *testing.T, old, job *batchv1.Job) admission.Request {
	t.Helper()
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Operation: admissionv1.Update, Namespace: job.Namespace, Name: job.Name,
		Kind:   metav1.GroupVersionKind(batchv1.SchemeGroupVersion.WithKind("Job")),
		Object: raw(t, job), OldObject: raw(t, old),
	}}
}

func TestTTLChangeIsRaisedInTheRequest(t *testing.T) {
	handler := &ttlHandler{Options: Options{TTLFloor: ttlFloor, ExcludedNamespaces: []string{"manager"}}}
	none := func(*admission.Request) {}
	changed := func(ttl int32) *jobtest.JobBuilder {
		return handledJob().TTL(ttl).Annotation(api.TTLAnnotation, "30;raised=3600")
	}
	for name, tc := range map[string]struct {
		job    *jobtest.JobBuilder
		change func(*admission.Request)
		// want is nil where the Job stays as it was sent.
		want   *jobtest.JobBuilder
		result string
	}{
		"the same again": {changed(30), none, raisedJob(), "job-ttl stamped"},
		"above the floor": {
			changed(86400), none, handledJob().TTL(86400), "job-ttl stamped",
		},
		"removed": {
			handledJob().Annotation(api.TTLAnnotation, "30;raised=3600"), none, handledJob(), "job-ttl stamped",
		},
		"finished":              {changed(30).Annotation(api.StatusAnnotation, api.StatusFailed), none, nil, "job-ttl skipped"},
		"a creation":            {changed(30), func(r *admission.Request) { r.Operation = admissionv1.Create }, nil, "job-ttl skipped"},
		"the status":            {changed(30), func(r *admission.Request) { r.SubResource = "status" }, nil, "job-ttl skipped"},
		"an excluded namespace": {changed(30), func(r *admission.Request) { r.Namespace = "manager" }, nil, "job-ttl skipped"},
		"no JSON":               {changed(30), func(r *admission.Request) { r.Object.Raw = []byte("{") }, nil, "job-ttl unread"},
		"no JSON before":        {changed(30), func(r *admission.Request) { r.OldObject.Raw = nil }, nil, "job-ttl unread"},
	} {
		t.Run(name, func(t *testing.T) {
			request := update(t, raisedJob().Obj(), tc.job.Obj())
			tc.change(&request)
			response := outOfTheWay(policy.AdmissionJobTTL, nil, handler).Handle(t.Context(), request)
			if !response.Allowed {
				t.Fatalf("refused: %v", response.Result)
			}
			want := tc.job
			if tc.want != nil {
				want = tc.want
			}
			if diff := cmp.Diff(want.Obj(), patchedBy(t, tc.job.Obj(), response)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if results, _ := answers(t, policy.AdmissionJobTTL, handler, request); len(results) != 1 || results[tc.result] != 1 {
				t.Errorf("%v, want one of %s", results, tc.result)
			}
		})
	}
}

func patchedBy(t *testing.T, job *batchv1.Job, response admission.Response) *batchv1.Job {
	t.Helper()
	document := raw(t, job).Raw
	if len(response.Patches) > 0 {
		operations, err := json.Marshal(response.Patches)
		if err != nil {
			t.Fatal(err)
		}
		patch, err := jsonpatch.DecodePatch(operations)
		if err != nil {
			t.Fatal(err)
		}
		if document, err = patch.Apply(document); err != nil {
			t.Fatal(err)
		}
	}
	patched := &batchv1.Job{}
	if err := json.Unmarshal(document, patched); err != nil {
		t.Fatal(err)
	}
	return patched
}

// The manager is known by its ServiceAccount in the namespace that it runs in.
func TestTTLWebhookKnowsTheManager(t *testing.T) {
	mutating, _ := Configurations(service, "elsewhere")
	for _, w := range mutating.Webhooks {
		if w.ClientConfig.Service.Path == nil || *w.ClientConfig.Service.Path != PathJobTTL {
			continue
		}
		for _, condition := range w.MatchConditions {
			if strings.Contains(condition.Expression, "'system:serviceaccount:elsewhere:job-handler'") {
				return
			}
		}
	}
	t.Error("not found")
}
