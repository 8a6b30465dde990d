package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/job-handler/job-handler/internal/selftest"
)

const selfTestPrefix = Prefix + "self_test_"

func selfTestDefinitions() []Definition {
	return []Definition{selfTestWorks, selfTestLast, selfTestRuns}
}

var (
	selfTestWorks = Definition{
		Name: selfTestPrefix + "stamping_works", Kind: Gauge,
		Help:   "1 if a created Job comes back from the API server with the webhook's stamp, else 0; absent until the first test.",
		Absent: "Until the first test.",
	}
	selfTestLast = Definition{
		Name: selfTestPrefix + "last_success_timestamp_seconds", Kind: Gauge,
		Help:   "When a Job last came back with the webhook's stamp, in seconds since 1970; absent until one has.",
		Absent: "Until a test has succeeded.",
	}
	selfTestRuns = Definition{
		Name: selfTestPrefix + "runs_total", Kind: Counter,
		Help: "Self-tests of stamping by result.",
		Labels: []Label{{Name: "result", Values: []Value{
			value(selftest.Stamped, "The Job came back with the webhook's stamp."),
			value(selftest.Unstamped, "It came back without, or with a part of it."),
			value(selftest.Refused, "The API server refused the Job, or the manager."),
			value(selftest.Unanswered, "The API server gave no answer in time."),
		}}},
	}
)

// SelfTest are the metrics of the self-test of stamping. Whether stamping works
// and when it last did show only once that is known.
type SelfTest struct {
	works, last *prometheus.GaugeVec
	tests       *prometheus.CounterVec
}

// NewSelfTest registers the metrics. It fails if they are registered.
func NewSelfTest(registry Registry) (*SelfTest, error) {
	m := making{registry: registry}
	s := &SelfTest{works: m.gauge(selfTestWorks), last: m.gauge(selfTestLast), tests: m.counter(selfTestRuns)}
	return s, m.finish("the self-test")
}

// Tested counts a test that ended at a time. One that was refused or not
// answered tells nothing about stamping.
func (s *SelfTest) Tested(result selftest.Result, at time.Time) {
	s.tests.WithLabelValues(string(result)).Inc()
	switch result {
	case selftest.Stamped:
		s.works.WithLabelValues().Set(1)
		s.last.WithLabelValues().Set(float64(at.Unix()))
	case selftest.Unstamped:
		s.works.WithLabelValues().Set(0)
	case selftest.Refused, selftest.Unanswered:
	}
}
