package webhooks

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

func plainJob() *jobtest.JobBuilder { return jobtest.MakeJob("ns", "job") }

func stampedJob() *jobtest.JobBuilder {
	return plainJob().Label(api.EnabledLabel, api.True).TemplateLabel(api.EnabledLabel, api.True).
		Annotation(api.ResultsNameAnnotation, "job-results")
}

func namespace() *jobtest.NamespaceBuilder { return jobtest.MakeNamespace("ns") }

func child(job *jobtest.JobBuilder) *jobtest.JobBuilder {
	return job.OwnedBy("batch/v1", "CronJob", "cron", "u1")
}

const (
	inLabelled = true
	elsewhere  = false
)

// TestJobAdmitted has a row for every way of opting in and out, on both paths.
func TestJobAdmitted(t *testing.T) {
	annotatedNamespace := namespace().Annotation(api.EnabledAnnotation, api.True)
	for name, tc := range map[string]struct {
		labelled  bool
		namespace *jobtest.NamespaceBuilder
		job, want *jobtest.JobBuilder
	}{
		"Namespace label":                        {inLabelled, namespace().Label(api.EnabledLabel, api.True), plainJob(), stampedJob()},
		"Namespace label, cache behind":          {inLabelled, namespace(), plainJob(), stampedJob()},
		"Namespace label, Namespace unknown":     {inLabelled, nil, plainJob(), stampedJob()},
		"Namespace annotation, not yet mirrored": {elsewhere, annotatedNamespace, plainJob(), stampedJob()},
		"nobody opts in":                         {elsewhere, namespace(), plainJob(), plainJob()},
		"Job label":                              {elsewhere, namespace(), plainJob().Label(api.EnabledLabel, api.True), stampedJob()},
		"Job label, Namespace unknown":           {elsewhere, nil, plainJob().Label(api.EnabledLabel, api.True), stampedJob()},
		"Job label in a Namespace that says no": {
			elsewhere, namespace().Label(api.EnabledLabel, api.False), plainJob().Label(api.EnabledLabel, api.True), stampedJob(),
		},
		"Job annotation": {
			elsewhere, namespace(), plainJob().Annotation(api.EnabledAnnotation, api.True),
			stampedJob().Annotation(api.EnabledAnnotation, api.True),
		},
		"Job label false": {inLabelled, namespace(), plainJob().Label(api.EnabledLabel, api.False), plainJob().Label(api.EnabledLabel, api.False)},
		"Job annotation false, here": {
			inLabelled, namespace(), plainJob().TTL(0).Annotation(api.EnabledAnnotation, api.False).Annotation(api.LogModeAnnotation, "x"),
			plainJob().TTL(0).Annotation(api.EnabledAnnotation, api.False).Annotation(api.LogModeAnnotation, "x").Label(api.EnabledLabel, api.False),
		},
		"Job annotation false, elsewhere": {
			elsewhere, namespace(), plainJob().Annotation(api.EnabledAnnotation, api.False),
			plainJob().Annotation(api.EnabledAnnotation, api.False).Label(api.EnabledLabel, api.False),
		},
		"a TTL below the floor": {inLabelled, namespace(), plainJob().TTL(0), stampedJob().TTL(3600).Annotation(api.TTLAnnotation, "0;raised=3600")},
		"protected by the Job": {
			inLabelled, namespace(), plainJob().Annotation(api.ProtectAnnotation, api.True),
			stampedJob().Annotation(api.ProtectAnnotation, api.True).Finalizer(api.ResultsFinalizer),
		},
		"protected by the Namespace, beside other finalizers": {
			inLabelled, namespace().Annotation(api.ProtectAnnotation, api.True), plainJob().Finalizer("example.com/theirs"),
			stampedJob().Finalizer("example.com/theirs").Finalizer(api.ResultsFinalizer),
		},
		"protected by itself, elsewhere": {
			elsewhere, namespace(), plainJob().Label(api.EnabledLabel, api.True).Annotation(api.ProtectAnnotation, api.True),
			stampedJob().Annotation(api.ProtectAnnotation, api.True).Finalizer(api.ResultsFinalizer),
		},
		"not protected, whatever the Namespace says": {
			inLabelled, namespace().Annotation(api.ProtectAnnotation, api.True), plainJob().Annotation(api.ProtectAnnotation, api.False),
			stampedJob().Annotation(api.ProtectAnnotation, api.False),
		},
		"a finalizer of a Job that is not handled is its user's": {
			elsewhere, namespace(), plainJob().Annotation(api.ProtectAnnotation, api.True).Finalizer(api.ResultsFinalizer),
			plainJob().Annotation(api.ProtectAnnotation, api.True).Finalizer(api.ResultsFinalizer),
		},
		"no name yet": {
			inLabelled, namespace(), plainJob().GenerateName("job-"),
			plainJob().GenerateName("job-").Label(api.EnabledLabel, api.True).TemplateLabel(api.EnabledLabel, api.True),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, warnings := admitted(t, handlerFor(tc.labelled, tc.namespace), tc.job.Obj())
			if diff := cmp.Diff(tc.want.Obj(), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if warnings != nil {
				t.Errorf("warnings: %q", warnings)
			}
		})
	}
}

func TestJobWarnings(t *testing.T) {
	const delayRule = "must be never or a duration like 1d12h (s m h d w, max 2147483647s)"
	for name, tc := range map[string]struct {
		labelled  bool
		namespace *jobtest.NamespaceBuilder
		job       *jobtest.JobBuilder
		want      []string
	}{
		"a child's invalid values": {
			inLabelled, namespace(), child(plainJob().Annotation(api.LogModeAnnotation, "x").Annotation(api.DeleteAfterSuccessAnnotation, "soon")),
			[]string{
				api.LogModeAnnotation + `: "x" ignored: supported values: "status", "full", "follow"`,
				api.DeleteAfterSuccessAnnotation + `: "soon" ignored: ` + delayRule,
			},
		},
		"invalid values of a Job with an owner that is no controller": {
			inLabelled, namespace(), withoutController(plainJob().Annotation(api.LogModeAnnotation, "x")),
			[]string{api.LogModeAnnotation + `: "x" ignored: supported values: "status", "full", "follow"`},
		},
		"a child's invalid label": {
			elsewhere, namespace(), child(plainJob().Label(api.EnabledLabel, "yes")),
			[]string{"label " + api.EnabledLabel + `: "yes" ignored: supported values: "true", "false"`},
		},
		"the Namespace's invalid values": {
			inLabelled, namespace().Annotation(api.EnabledAnnotation, "yes").Annotation(api.ResultsTTLAnnotation, "").
				Annotation(api.ResultsNameAnnotation, "a-results"), plainJob(),
			[]string{
				"Namespace " + api.EnabledAnnotation + `: "yes" ignored: supported values: "true", "false"`,
				"Namespace " + api.ResultsNameAnnotation + `: ignored: can be set on a Job only`,
				"Namespace " + api.ResultsTTLAnnotation + `: "" ignored: ` + delayRule,
			},
		},
		"an unknown key": {
			inLabelled, namespace(), plainJob().Annotation(api.Prefix+"log-mod", "full"),
			[]string{"annotation " + api.Prefix + "log-mod is unknown: did you mean " + api.LogModeAnnotation + "?"},
		},
		"results-ttl, with retention on": {
			inLabelled, namespace().Annotation(api.ResultsTTLAnnotation, "1d"), plainJob().Annotation(api.ResultsTTLAnnotation, "7d"), nil,
		},
		"forged keys": {
			inLabelled, namespace(), plainJob().Annotation(api.StatusAnnotation, "completed").Annotation(api.CaptureAnnotation, "complete").
				Annotation(api.TTLAnnotation, "5"),
			[]string{
				"annotation " + api.CaptureAnnotation + " removed: Job Handler alone sets it",
				"annotation " + api.StatusAnnotation + " removed: Job Handler alone sets it",
				"annotation " + api.TTLAnnotation + " removed: Job Handler alone sets it",
			},
		},
		"a finalizer that nobody asked for": {
			inLabelled, namespace(), plainJob().Finalizer(api.ResultsFinalizer),
			[]string{"finalizer job-handler/results removed: set annotation job-handler/protect instead"},
		},
		"a finalizer that is asked for": {
			inLabelled, namespace().Annotation(api.ProtectAnnotation, api.True), plainJob().Finalizer(api.ResultsFinalizer), nil,
		},
		"a child's protection that is not valid": {
			inLabelled, namespace(), child(plainJob().Annotation(api.ProtectAnnotation, "yes")),
			[]string{api.ProtectAnnotation + `: "yes" ignored: supported values: "true", "false"`},
		},
		"nothing about a Job that is not handled": {
			elsewhere, namespace().Annotation(api.LogModeAnnotation, "x"), plainJob().Annotation(api.Prefix+"log-mod", "x").Annotation(api.LogModeAnnotation, "x"), nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings := admitted(t, handlerFor(tc.labelled, tc.namespace), tc.job.Obj())
			if diff := cmp.Diff(tc.want, warnings); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			for _, warning := range warnings {
				if len(warning) > 120 {
					t.Errorf("%d characters: %s", len(warning), warning)
				}
			}
		})
	}
}

func TestJobForgedKeysGo(t *testing.T) {
	forged := plainJob().Annotation(api.StatusAnnotation, "completed").Annotation(api.CaptureAnnotation, "complete").
		TTL(7200).Annotation(api.TTLAnnotation, "5")
	got, _ := admitted(t, handlerFor(inLabelled, namespace()), forged.Obj())
	if diff := cmp.Diff(stampedJob().TTL(7200).Obj(), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestJobChildGetsDefaults(t *testing.T) {
	got, _ := admitted(t, handlerFor(inLabelled, namespace()), child(plainJob().Annotation(api.ResultsNameAnnotation, "Bad")).Obj())
	if diff := cmp.Diff(child(stampedJob().Annotation(api.ResultsNameAnnotation, "Bad")).Obj(), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestJobRefused(t *testing.T) {
	badLabel := "metadata.labels[" + api.EnabledLabel + `]: Unsupported value: "yes": supported values: "true", "false"`
	badMode := "metadata.annotations[" + api.LogModeAnnotation + `]: Unsupported value: "x": supported values: "status", "full", "follow"`
	badKind := "metadata.annotations[" + api.ResultsKindAnnotation + `]: Unsupported value: "Pod": supported values: "ConfigMap", "Secret"`
	for name, tc := range map[string]struct {
		labelled bool
		job      *jobtest.JobBuilder
		want     string
	}{
		"one value":                  {inLabelled, plainJob().Annotation(api.LogModeAnnotation, "x"), `Job.batch "job" is invalid: ` + badMode},
		"all at once":                {inLabelled, plainJob().Annotation(api.LogModeAnnotation, "x").Annotation(api.ResultsKindAnnotation, "Pod").Label(api.EnabledLabel, "yes"), `Job.batch "job" is invalid: [` + badLabel + ", " + badMode + ", " + badKind + "]"},
		"no name yet":                {inLabelled, plainJob().GenerateName("job-").Annotation(api.LogModeAnnotation, "x"), `Job.batch "job-" is invalid: ` + badMode},
		"a Job that opts in itself":  {elsewhere, plainJob().Label(api.EnabledLabel, api.True).Annotation(api.LogModeAnnotation, "x"), `Job.batch "job" is invalid: ` + badMode},
		"a label nobody understands": {elsewhere, plainJob().Label(api.EnabledLabel, "yes"), `Job.batch "job" is invalid: ` + badLabel},
	} {
		t.Run(name, func(t *testing.T) {
			response := handlerFor(tc.labelled, namespace()).Handle(t.Context(), creation(t, tc.job.Obj()))
			if response.Allowed || response.Patches != nil || response.Patch != nil {
				t.Fatalf("allowed = %v, patches %v", response.Allowed, response.Patches)
			}
			if response.Result.Code != http.StatusUnprocessableEntity || response.Result.Reason != metav1.StatusReasonInvalid {
				t.Errorf("code %d, reason %s", response.Result.Code, response.Result.Reason)
			}
			if diff := cmp.Diff(tc.want, response.Result.Message); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func withoutController(job *jobtest.JobBuilder) *jobtest.JobBuilder {
	child(job).Obj().OwnerReferences[0].Controller = nil
	return job
}

// TestJobIdempotent holds that a Job may be sent again as it came out: whoever
// copies one, or sets another reinvocationPolicy, does that.
func TestJobIdempotent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		builder := child(plainJob())
		if rapid.Bool().Draw(rt, "generateName") {
			builder.GenerateName("job-")
		}
		if rapid.Bool().Draw(rt, "hasTTL") {
			builder.TTL(rapid.Int32Range(0, 7200).Draw(rt, "ttl"))
		}
		for _, key := range []string{api.EnabledAnnotation, api.TTLAnnotation, api.StatusAnnotation, api.ResultsNameAnnotation, api.LogModeAnnotation} {
			if rapid.Bool().Draw(rt, key) {
				builder.Annotation(key, rapid.SampledFrom([]string{api.True, api.False, "5", "a-results", "full", ""}).Draw(rt, key+"="))
			}
		}
		if rapid.Bool().Draw(rt, "hasLabel") {
			builder.Label(api.EnabledLabel, rapid.SampledFrom([]string{api.True, api.False, "yes"}).Draw(rt, "label"))
		}
		handler := handlerFor(rapid.Bool().Draw(rt, "labelled"), nil)
		once, _ := admitted(t, handler, builder.Obj())
		twice, _ := admitted(t, handler, once)
		if diff := cmp.Diff(once, twice); diff != "" {
			rt.Fatalf("-once +twice\n%s", diff)
		}
	})
}

func TestJobKeepsUnknownFields(t *testing.T) {
	request := creation(t, plainJob().Obj())
	request.Object.Raw = []byte(`{"metadata":{"name":"job","future":1},"spec":{"future":{"a":[1]},"template":{"metadata":{},"spec":{"future":true}}}}`)
	response := handlerFor(inLabelled, namespace()).Handle(t.Context(), request)
	if err := response.Complete(request); err != nil {
		t.Fatal(err)
	}
	want := `{"metadata":{"annotations":{"job-handler/results-name":"job-results"},"future":1,"labels":{"job-handler/enabled":"true"},"name":"job"},` +
		`"spec":{"future":{"a":[1]},"template":{"metadata":{"labels":{"job-handler/enabled":"true"}},"spec":{"future":true}}}}`
	if diff := cmp.Diff(decoded(t, []byte(want)), decoded(t, applied(t, request.Object.Raw, response.Patch))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestJobOtherRequestsPass(t *testing.T) {
	update, status := creation(t, plainJob().Obj()), creation(t, plainJob().Obj())
	update.Operation = admissionv1.Update
	status.SubResource = "status"
	for _, request := range []admissionv1.AdmissionRequest{update.AdmissionRequest, status.AdmissionRequest} {
		full := creation(t, &batchv1.Job{})
		full.AdmissionRequest = request
		response := handlerFor(inLabelled, namespace()).Handle(t.Context(), full)
		if !response.Allowed || response.Patches != nil || response.Warnings != nil {
			t.Errorf("%s %q: %+v", request.Operation, request.SubResource, response)
		}
	}
}

func TestJobNamespaceThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		handler := served(&jobHandler{Options: Options{Namespaces: stuck{}, TTLFloor: ttlFloor}, namespaceOptedIn: true})
		got, warnings := admitted(t, handler, plainJob().Obj())
		if diff := cmp.Diff(stampedJob().Obj(), got); diff != "" || warnings != nil {
			t.Errorf("warnings %q, -want +got\n%s", warnings, diff)
		}
		if took := time.Since(start); took > timeoutSeconds*time.Second/2 {
			t.Errorf("took %s of the webhook's %d s", took, timeoutSeconds)
		}
	})
}
