package webhooks

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/policy"
)

// answers returns what is counted of one request, and how often there were warnings.
func answers(t *testing.T, kind policy.AdmissionKind, handler answerer, request admission.Request) (results map[string]float64, warned float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	counts, err := metrics.NewAdmission(registry)
	if err != nil {
		t.Fatal(err)
	}
	outOfTheWay(kind, counts, handler).Handle(t.Context(), request)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	results = map[string]float64{}
	for _, family := range families {
		for _, series := range family.GetMetric() {
			value := series.GetCounter().GetValue()
			switch {
			case value == 0:
			case family.GetName() == "job_handler_webhook_warned_requests_total":
				warned += value
			default:
				results[series.GetLabel()[0].GetValue()+" "+series.GetLabel()[1].GetValue()] = value
			}
		}
	}
	return results, warned
}

func TestRequestsAreCounted(t *testing.T) {
	optedIn := func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.Label(api.EnabledLabel, api.True) }
	asIs := func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b }
	none := func(*admission.Request) {}
	jobs := &jobHandler{Options: Options{Namespaces: namespaces{}, TTLFloor: ttlFloor, ExcludedNamespaces: []string{"manager"}}}
	for name, tc := range map[string]struct {
		handler answerer
		job     func(*jobtest.JobBuilder) *jobtest.JobBuilder
		change  func(*admission.Request)
		want    string
		warned  float64
	}{
		"opted in":     {jobs, optedIn, none, "job stamped", 0},
		"not opted in": {jobs, asIs, none, "job skipped", 0},
		"opted out": {jobs, func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return b.Annotation(api.EnabledAnnotation, api.False)
		}, none, "job skipped", 0},
		"in an opted-in namespace": {&jobHandler{Options: jobs.Options, namespaceOptedIn: true}, asIs, none, "job stamped", 0},
		"with a forged status": {jobs, func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return optedIn(b).Annotation(api.StatusAnnotation, api.StatusFailed)
		}, none, "job stamped", 1},
		"with an invalid value": {jobs, func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return optedIn(b).Annotation(api.LogModeAnnotation, "some")
		}, none, "job refused", 0},
		"an update":                {jobs, optedIn, func(r *admission.Request) { r.Operation = admissionv1.Update }, "job skipped", 0},
		"of an excluded namespace": {jobs, optedIn, func(r *admission.Request) { r.Namespace = "manager" }, "job skipped", 0},
		"the self-test": {jobs, func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return optedIn(b).Label(api.SelfTestLabel, api.True).Annotation(api.SelfTestAnnotation, "word")
		}, func(r *admission.Request) { r.Namespace, r.DryRun = "manager", new(true) }, "job self-test", 0},
		"no JSON": {jobs, asIs, func(r *admission.Request) { r.Object.Raw = []byte("{") }, "job unread", 1},
		"a panic": {panicking{}, asIs, none, "job unread", 1},
	} {
		t.Run(name, func(t *testing.T) {
			request := creation(t, tc.job(jobtest.MakeJob("ns", "job")).Obj())
			tc.change(&request)
			results, warned := answers(t, policy.AdmissionJob, tc.handler, request)
			if len(results) != 1 || results[tc.want] != 1 || warned != tc.warned {
				t.Errorf("%v with %g warned, want one of %s with %g", results, warned, tc.want, tc.warned)
			}
		})
	}
}

func TestRequestsAboutCronJobsAreCounted(t *testing.T) {
	for want, b := range map[string]*jobtest.CronJobBuilder{
		"cronjob checked": plainCronJob(),
		"cronjob refused": plainCronJob().JobAnnotation(api.LogModeAnnotation, "some"),
	} {
		request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			Operation: admissionv1.Create, Namespace: "ns", Object: raw(t, b.Obj()),
		}}
		if results, _ := answers(t, policy.AdmissionCronJob, &cronJobHandler{}, request); len(results) != 1 || results[want] != 1 {
			t.Errorf("%v, want one of %s", results, want)
		}
	}
}
