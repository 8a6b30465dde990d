package metrics

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/job-handler/job-handler/internal/retain"
)

// PassResult is how a look at all results ended.
type PassResult string

// The values of the label result.
const (
	// PassComplete: everything was looked at, and deleted as far as it could be.
	PassComplete PassResult = "complete"
	// PassFailed: the API server did not answer, or refused the list.
	PassFailed PassResult = "failed"
)

// Retention are the metrics of how long results are kept, and of what they take.
type Retention struct {
	deleted, passes, refused *prometheus.CounterVec
	shrunk                   prometheus.Counter
	bytes, objects, last     *prometheus.GaugeVec
	budget, malformed        prometheus.Gauge
	duration                 prometheus.Histogram
}

// NewRetention registers the metrics. It fails if they are registered.
func NewRetention(registry Registry) (*Retention, error) {
	r := newRetention()
	for _, collector := range []prometheus.Collector{
		r.deleted, r.passes, r.refused, r.shrunk, r.bytes, r.objects, r.last, r.budget, r.malformed, r.duration,
	} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("registering the metrics of retention: %w", err)
		}
	}
	for _, reason := range []retain.Reason{retain.ReasonExpired, retain.ReasonSurplus, retain.ReasonPart, retain.ReasonOrphan} {
		r.deleted.WithLabelValues(string(reason))
	}
	r.passes.WithLabelValues(string(PassComplete))
	r.passes.WithLabelValues(string(PassFailed))
	return r, nil
}

func newRetention() *Retention {
	const retention, results = "retention", "results"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: retention, Name: name, Help: help}, labels)
	}
	gauge := func(subsystem, name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
	}
	return &Retention{
		// reason: expired, surplus, part or orphan.
		deleted: counter("deleted_total",
			"Results objects deleted by reason: expired, surplus of a CronJob, part of deleted results, orphan part.", "reason"),
		// result: complete or failed.
		passes: counter("passes_total", "Looks at all results by result: complete, failed.", "result"),
		// cause: quota, rights, size or other.
		refused: counter("refused_total",
			"Deletions of results that the API server refused, by cause: quota, rights, size, other.", "cause"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: retention, Name: "pass_duration_seconds",
			Help:    "How long a complete look at all results took, deletions included.",
			Buckets: []float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600},
		}),
		last: gauge(retention, "last_pass_timestamp_seconds",
			"When all results were last looked at completely, in seconds since 1970; absent until they were."),
		// class: results, part or foreign.
		objects: gauge(retention, "objects",
			"Objects labelled as results at the last look, by class: results, part, foreign (what is left alone).", "class"),
		malformed: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: retention, Name: "malformed_results",
			Help: "Results at the last look that are kept since their expires-at cannot be read.",
		}),
		// namespace: those with results.
		bytes: gauge(results, "bytes", "What results take, parts included, in bytes; absent until they were counted.", "namespace"),
		budget: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: results, Name: "budget_bytes",
			Help: "What results may take in a namespace before less of logs is stored, in bytes; 0 for no bound.",
		}),
		shrunk: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: results, Name: "shrunk_total",
			Help: "Runs of which less log text was stored since the results of their namespace were above the budget.",
		}),
	}
}

// Deleted counts an object that was deleted.
func (r *Retention) Deleted(reason retain.Reason) { r.deleted.WithLabelValues(string(reason)).Inc() }

// Refused counts a deletion that was refused for a cause of trouble.Cause.
func (r *Retention) Refused(cause string) { r.refused.WithLabelValues(cause).Inc() }

// Surveyed says what a look found, before it deletes anything.
func (r *Retention) Surveyed(s *retain.Survey) {
	for _, class := range []retain.Class{retain.Results, retain.Part, retain.Foreign} {
		r.objects.WithLabelValues(string(class)).Set(float64(s.Counts[class]))
	}
	r.malformed.Set(float64(s.Malformed))
}

// Passed counts a look that ended at a time and took so long.
func (r *Retention) Passed(result PassResult, at time.Time, took time.Duration) {
	r.passes.WithLabelValues(string(result)).Inc()
	if result == PassComplete {
		r.duration.Observe(took.Seconds())
		r.last.WithLabelValues().Set(float64(at.Unix()))
	}
}

// SetBudget says what results may take in a namespace; 0: there is no bound.
func (r *Retention) SetBudget(bytes int64) { r.budget.Set(float64(bytes)) }

// SetBytes says what results take in a namespace.
func (r *Retention) SetBytes(of string, bytes int64) { r.bytes.WithLabelValues(of).Set(float64(bytes)) }

// ResetBytes says what results take in every namespace that has any.
func (r *Retention) ResetBytes(bytes map[string]int64) {
	r.bytes.Reset()
	for of, n := range bytes {
		r.SetBytes(of, n)
	}
}

// Shrunk counts a run of which less was stored for the budget.
func (r *Retention) Shrunk() { r.shrunk.Inc() }
