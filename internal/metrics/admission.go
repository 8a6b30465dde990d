package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/job-handler/job-handler/internal/policy"
)

func admissionDefinitions() []Definition { return []Definition{admissionRequests, admissionWarned} }

var (
	admissionKinds = Label{Name: "kind", Values: []Value{
		value(policy.AdmissionJob, "A Job that is created."),
		value(policy.AdmissionJobTTL, "A stamped Job whose ttlSecondsAfterFinished changes."),
		value(policy.AdmissionCronJob, "A CronJob that is created or changed."),
	}}
	admissionRequests = Definition{
		Name: webhookPrefix + "requests_total", Kind: Counter,
		Help: "Admission requests by object and answer, dry runs included.",
		Labels: []Label{admissionKinds, {Name: "result", Values: []Value{
			value(policy.AdmissionStamped, "The Job is opted in, and is handled from now on; or its new TTL is recorded, and raised if necessary."),
			value(policy.AdmissionChecked, "The CronJob was checked and admitted."),
			value(policy.AdmissionSkipped, "Not opted in, or in a namespace that is left alone."),
			value(policy.AdmissionRefused, "Refused for invalid values."),
			value(policy.AdmissionUnread, "Admitted as it was, since it could not be read."),
			value(policy.AdmissionSelfTest, "The self-test's dry run."),
		}}},
	}
	admissionWarned = Definition{
		Name: webhookPrefix + "warned_requests_total", Kind: Counter,
		Help:   "Admission requests that were answered with warnings, by object.",
		Labels: []Label{admissionKinds},
	}
)

// Admission are the metrics of admission requests. A nil one counts nothing.
type Admission struct {
	requests, warned *prometheus.CounterVec
}

// NewAdmission registers the metrics. It fails if they are registered.
func NewAdmission(registry Registry) (*Admission, error) {
	m := making{registry: registry}
	a := &Admission{requests: m.counter(admissionRequests), warned: m.counter(admissionWarned)}
	return a, m.finish("admission")
}

// Answered counts a request, and whether it was answered with warnings.
func (a *Admission) Answered(kind policy.AdmissionKind, result policy.AdmissionResult, warned bool) {
	if a == nil {
		return
	}
	a.requests.WithLabelValues(string(kind), string(result)).Inc()
	if warned {
		a.warned.WithLabelValues(string(kind)).Inc()
	}
}
