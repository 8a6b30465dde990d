package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// AdmissionKind is what an admission request is about.
type AdmissionKind string

// The values of the label kind.
const (
	// AdmissionJob: a Job that is being created.
	AdmissionJob AdmissionKind = "job"
	// AdmissionJobTTL: a stamped Job whose ttlSecondsAfterFinished is being changed.
	AdmissionJobTTL AdmissionKind = "job-ttl"
	// AdmissionCronJob: a CronJob that is created or changed.
	AdmissionCronJob AdmissionKind = "cronjob"
)

// AdmissionResult is how an admission request was answered.
type AdmissionResult string

// The values of the label result.
const (
	// AdmissionStamped: the Job is handled from now on, or its new TTL is taken note
	// of.
	AdmissionStamped AdmissionResult = "stamped"
	// AdmissionChecked: the CronJob's template is one that Jobs can be made of.
	AdmissionChecked AdmissionResult = "checked"
	// AdmissionSkipped: not opted in, or of a namespace that is left alone.
	AdmissionSkipped AdmissionResult = "skipped"
	// AdmissionRefused: for its invalid values.
	AdmissionRefused AdmissionResult = "refused"
	// AdmissionUnread: admitted as it was, since it could not be read.
	AdmissionUnread AdmissionResult = "unread"
	// AdmissionSelfTest: the manager's own dry run.
	AdmissionSelfTest AdmissionResult = "self-test"
)

func admissionDefinitions() []Definition { return []Definition{admissionRequests, admissionWarned} }

var (
	admissionKinds = Label{Name: "kind", Values: []Value{
		value(AdmissionJob, "A Job that is created."),
		value(AdmissionJobTTL, "A stamped Job whose ttlSecondsAfterFinished changes."),
		value(AdmissionCronJob, "A CronJob that is created or changed."),
	}}
	admissionRequests = Definition{
		Name: webhookPrefix + "requests_total", Kind: Counter,
		Help: "Admission requests by object and answer, dry runs included.",
		Labels: []Label{admissionKinds, {Name: "result", Values: []Value{
			value(AdmissionStamped, "The Job is opted in, and is handled from now on; or its new TTL is recorded, and raised if necessary."),
			value(AdmissionChecked, "The CronJob was checked and admitted."),
			value(AdmissionSkipped, "Not opted in, or in a namespace that is left alone."),
			value(AdmissionRefused, "Refused for invalid values."),
			value(AdmissionUnread, "Admitted as it was, since it could not be read."),
			value(AdmissionSelfTest, "The self-test's dry run."),
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
func (a *Admission) Answered(kind AdmissionKind, result AdmissionResult, warned bool) {
	if a == nil {
		return
	}
	a.requests.WithLabelValues(string(kind), string(result)).Inc()
	if warned {
		a.warned.WithLabelValues(string(kind)).Inc()
	}
}
