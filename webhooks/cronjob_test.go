package webhooks

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

func operation(name string) admissionv1.Operation { return admissionv1.Operation(name) }

func plainCronJob() *jobtest.CronJobBuilder { return jobtest.MakeCronJob("ns", "cron") }

func template(message string) string { return "spec.jobTemplate.metadata." + message }

// validated returns the handler's answer to a creation, or to an update if
// there is an old CronJob.
func validated(t *testing.T, cronJob, old *jobtest.CronJobBuilder) admission.Response {
	t.Helper()
	request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Operation: admissionv1.Create, Namespace: "ns", Object: raw(t, cronJob.Obj()),
	}}
	if old != nil {
		request.Operation, request.OldObject = admissionv1.Update, raw(t, old.Obj())
	}
	response, _ := (&cronJobHandler{}).answer(t.Context(), request)
	return response
}

func TestCronJobRefused(t *testing.T) {
	badMode := template("annotations[" + api.LogModeAnnotation + `]: Unsupported value: "x": supported values: "status", "full", "follow"`)
	badKind := template("annotations[" + api.ResultsKindAnnotation + `]: Unsupported value: "x": supported values: "ConfigMap", "Secret"`)
	badLabel := template("labels[" + api.EnabledLabel + `]: Unsupported value: "yes": supported values: "true", "false"`)
	for name, tc := range map[string]struct {
		cronJob, old *jobtest.CronJobBuilder
		want         string
	}{
		"creation":                {plainCronJob().JobAnnotation(api.LogModeAnnotation, "x"), nil, badMode},
		"creation, all at once":   {plainCronJob().JobAnnotation(api.LogModeAnnotation, "x").JobLabel(api.EnabledLabel, "yes"), nil, "[" + badLabel + ", " + badMode + "]"},
		"update of a valid one":   {plainCronJob().JobAnnotation(api.LogModeAnnotation, "x"), plainCronJob(), badMode},
		"update, another problem": {plainCronJob().JobAnnotation(api.LogModeAnnotation, "x").JobAnnotation(api.ResultsKindAnnotation, "x"), plainCronJob().JobAnnotation(api.LogModeAnnotation, "x"), badKind},
		"update, another value":   {plainCronJob().JobAnnotation(api.LogModeAnnotation, "x"), plainCronJob().JobAnnotation(api.LogModeAnnotation, "y"), badMode},
		"update, opting in again": {plainCronJob().JobAnnotation(api.LogModeAnnotation, "x"), plainCronJob().JobAnnotation(api.LogModeAnnotation, "x").JobLabel(api.EnabledLabel, api.False), badMode},
	} {
		t.Run(name, func(t *testing.T) {
			response := validated(t, tc.cronJob, tc.old)
			if response.Allowed || response.Result.Code != http.StatusUnprocessableEntity {
				t.Fatalf("%+v", response)
			}
			if diff := cmp.Diff(`CronJob.batch "cron" is invalid: `+tc.want, response.Result.Message); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestCronJobWarnings(t *testing.T) {
	const (
		successful = "spec.successfulJobsHistoryLimit"
		failed     = "spec.failedJobsHistoryLimit"
	)
	history := func(field string) string {
		return field + " can delete a Job before its results are stored: allow more"
	}
	bad := func() *jobtest.CronJobBuilder { return plainCronJob().JobAnnotation(api.LogModeAnnotation, "x") }
	badWarning := "jobTemplate: " + api.LogModeAnnotation + `: "x" ignored: supported values: "status", "full", "follow"`
	for name, tc := range map[string]struct {
		cronJob, old *jobtest.CronJobBuilder
		want         []string
	}{
		"nothing":                    {plainCronJob(), nil, nil},
		"the API server's defaults":  {plainCronJob().History(3, 1).Concurrency(batchv1.AllowConcurrent), nil, nil},
		"what was wrong before":      {bad(), bad(), []string{badWarning}},
		"what is mended":             {plainCronJob(), bad(), nil},
		"one mended, one kept":       {bad(), bad().JobAnnotation(api.ResultsKindAnnotation, "x"), []string{badWarning}},
		"a template that opts out":   {bad().JobLabel(api.EnabledLabel, api.False).History(0, 0), nil, nil},
		"a fixed results-name":       {plainCronJob().JobAnnotation(api.ResultsNameAnnotation, "a-results"), nil, []string{api.ResultsNameAnnotation + " in jobTemplate: all runs ask for this name; only the first gets it without a suffix"}},
		"an unknown key":             {plainCronJob().JobAnnotation(api.Prefix+"log-mod", "full"), nil, []string{"annotation " + api.Prefix + "log-mod is unknown: did you mean " + api.LogModeAnnotation + "?"}},
		"results-ttl, retention on":  {plainCronJob().JobAnnotation(api.ResultsTTLAnnotation, "1d"), nil, nil},
		"no history":                 {plainCronJob().History(0, 0).Concurrency(batchv1.ForbidConcurrent), nil, []string{history(successful + " 0"), history(failed + " 0")}},
		"no history, protected":      {plainCronJob().History(0, 0).JobAnnotation(api.ProtectAnnotation, api.True), nil, nil},
		"no history, not protected":  {plainCronJob().History(0, 3).JobAnnotation(api.ProtectAnnotation, api.False), nil, []string{history(successful + " 0")}},
		"a history of 1, concurrent": {plainCronJob().History(1, 1), nil, []string{history(successful + " 1")}},
		"a history of 1, one by one": {plainCronJob().History(1, 1).Concurrency(batchv1.ForbidConcurrent), nil, nil},
		"a history of 1, replaced":   {plainCronJob().History(1, 1).Concurrency(batchv1.ReplaceConcurrent), nil, nil},
		"a history of 2, concurrent": {plainCronJob().History(2, 2).Concurrency(batchv1.AllowConcurrent), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			response := validated(t, tc.cronJob, tc.old)
			if !response.Allowed {
				t.Fatalf("refused: %s", response.Result.Message)
			}
			if diff := cmp.Diff(tc.want, response.Warnings); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			for _, warning := range response.Warnings {
				if len(warning) > 120 {
					t.Errorf("%d characters: %s", len(warning), warning)
				}
			}
		})
	}
}
