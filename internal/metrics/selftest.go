package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// SelfTestResult is how a self-test of stamping ended.
type SelfTestResult string

// The values of the label result.
const (
	// SelfTestStamped: the Job came back with the webhook's stamp.
	SelfTestStamped SelfTestResult = "stamped"
	// SelfTestUnstamped: it came back without, or with a part of it.
	SelfTestUnstamped SelfTestResult = "unstamped"
	// SelfTestRefused: the API server refused the Job, or the manager.
	SelfTestRefused SelfTestResult = "refused"
	// SelfTestUnanswered: the API server gave no answer in time.
	SelfTestUnanswered SelfTestResult = "unanswered"
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
			value(SelfTestStamped, "The Job came back with the webhook's stamp."),
			value(SelfTestUnstamped, "It came back without, or with a part of it."),
			value(SelfTestRefused, "The API server refused the Job, or the manager."),
			value(SelfTestUnanswered, "The API server gave no answer in time."),
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
func (s *SelfTest) Tested(result SelfTestResult, at time.Time) {
	s.tests.WithLabelValues(string(result)).Inc()
	switch result {
	case SelfTestStamped:
		s.works.WithLabelValues().Set(1)
		s.last.WithLabelValues().Set(float64(at.Unix()))
	case SelfTestUnstamped:
		s.works.WithLabelValues().Set(0)
	case SelfTestRefused, SelfTestUnanswered:
	}
}
