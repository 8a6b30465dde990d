package metrics

import (
	"fmt"
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

// SelfTest are the metrics of the self-test of stamping. Whether stamping works
// and when it last did show only once that is known.
type SelfTest struct {
	works, last *prometheus.GaugeVec
	tests       *prometheus.CounterVec
}

// NewSelfTest registers the metrics. It fails if they are registered.
func NewSelfTest(registry Registry) (*SelfTest, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "self_test", Name: name, Help: help,
		}, nil)
	}
	s := &SelfTest{
		works: gauge("stamping_works",
			"1 if a Job that is created comes back from the API server with the webhook's stamp, else 0; absent until a test has told."),
		last: gauge("last_success_timestamp_seconds",
			"When a Job last came back with the webhook's stamp, in seconds since 1970; absent until one has."),
		// result: stamped, unstamped, refused or unanswered.
		tests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "self_test", Name: "runs_total",
			Help: "Self-tests of stamping by result: stamped, unstamped, refused by the API server, unanswered by it.",
		}, []string{"result"}),
	}
	for _, collector := range []prometheus.Collector{s.works, s.last, s.tests} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("registering the metrics of the self-test: %w", err)
		}
	}
	for _, result := range []SelfTestResult{SelfTestStamped, SelfTestUnstamped, SelfTestRefused, SelfTestUnanswered} {
		s.tests.WithLabelValues(string(result))
	}
	return s, nil
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
