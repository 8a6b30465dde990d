package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/retain"
)

const (
	retentionPrefix = Prefix + "retention_"
	resultsPrefix   = Prefix + "results_"

	// mostNamespaces bounds how many namespaces there are metrics of.
	mostNamespaces = 100
)

var causes = Label{Name: "cause", Values: []Value{
	value(apierr.CauseQuota, "A quota of the namespace."),
	value(apierr.CauseRights, "The manager lacks a right, or a policy forbids it."),
	value(apierr.CauseSize, "Too large, for the API server or etcd."),
	value(apierr.CauseOther, "Anything else, such as an admission webhook."),
}}

// The values of the label result of retentionPasses.
const (
	passComplete = "complete"
	passFailed   = "failed"
)

func retentionDefinitions() []Definition {
	return []Definition{
		resultsBytes, resultsAllBytes, resultsNamespaces, resultsBudget, resultsAllBudget, resultsShrunk, retentionDeleted, retentionPasses,
		retentionRefused, retentionDuration, retentionLast, retentionObjects, retentionMalformed,
	}
}

const countedByRetention = "Until all results were counted."

var (
	resultsBytes = Definition{
		Name: resultsPrefix + "bytes", Kind: Gauge,
		Help:   "Size of the results in a namespace, parts and captures included, in bytes, for the 100 namespaces with most.",
		Absent: countedByRetention,
		Labels: []Label{{Name: "namespace", Open: "The namespaces with results, at most 100: those with the largest results."}},
	}
	resultsAllBytes = Definition{
		Name: resultsPrefix + "all_bytes", Kind: Gauge, Help: "Size of the results in all namespaces, parts and captures included, in bytes.",
		Absent: countedByRetention,
	}
	resultsNamespaces = Definition{
		Name: resultsPrefix + "namespaces", Kind: Gauge, Help: "Namespaces with results.",
		Absent: countedByRetention,
	}
	resultsBudget = Definition{
		Name: resultsPrefix + "budget_bytes", Kind: Gauge,
		Help: "Size of the results in a namespace from which less log text is stored, in bytes; 0 means no limit.",
	}
	resultsAllBudget = Definition{
		Name: resultsPrefix + "all_budget_bytes", Kind: Gauge,
		Help: "Size of the results in all namespaces from which less log text is stored, in bytes; 0 means no limit.",
	}
	resultsShrunk = Definition{
		Name: resultsPrefix + "shrunk_total", Kind: Counter,
		Help: "Runs with less log text stored because results were above a budget, by budget.",
		Labels: []Label{{Name: "budget", Values: []Value{
			value(retain.NamespaceBudget, "That of their namespace: `--max-results-bytes-per-namespace`."),
			value(retain.ClusterBudget, "That of the whole cluster: `--max-results-bytes`."),
		}}},
	}
	retentionDeleted = Definition{
		Name: retentionPrefix + "deleted_total", Kind: Counter, Help: "Results objects deleted by reason.",
		Labels: []Label{{Name: "reason", Values: []Value{
			value(retain.ReasonExpired, "Their `results-ttl` is over."),
			value(retain.ReasonSurplus, "Their CronJob has more than are kept."),
			value(retain.ReasonPart, "A part of results that were deleted."),
			value(retain.ReasonOrphan, "A part that no results list."),
			value(retain.ReasonCapture, "Captures left over, of a Job whose results are stored."),
		}}},
	}
	retentionPasses = Definition{
		Name: retentionPrefix + "passes_total", Kind: Counter, Help: "Passes over all results, by outcome.",
		Labels: []Label{{Name: "result", Values: []Value{
			{passComplete, "Everything was checked, and deleted as far as possible."},
			{passFailed, "The API server did not answer, or refused the list."},
		}}},
	}
	retentionRefused = Definition{
		Name: retentionPrefix + "refused_total", Kind: Counter,
		Help: "Deletions of results that the API server refused by cause.", Labels: []Label{causes},
	}
	retentionDuration = Definition{
		Name: retentionPrefix + "pass_duration_seconds", Kind: Histogram,
		Help:    "How long a complete pass over all results took, deletions included.",
		Buckets: []float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600},
	}
	retentionLast = Definition{
		Name: retentionPrefix + "last_pass_timestamp_seconds", Kind: Gauge,
		Help:   "When the last complete pass over all results ended, in seconds since 1970; absent before.",
		Absent: countedByRetention,
	}
	retentionObjects = Definition{
		Name: retentionPrefix + "objects", Kind: Gauge, Help: "Objects labelled as results in the last pass, by class.",
		Absent: countedByRetention,
		Labels: []Label{{Name: "class", Values: []Value{
			value(retain.Results, "Results."),
			value(retain.Part, "Parts of results."),
			value(retain.Captured, "Logs of deleted pods, saved beside Jobs whose results are not stored yet."),
			value(retain.Foreign, "Other objects with this label; they are left alone."),
		}}},
	}
	retentionMalformed = Definition{
		Name: retentionPrefix + "malformed_results", Kind: Gauge,
		Help: "Results in the last pass that are kept because their expires-at cannot be read.",
	}
)

// Retention are the metrics of how long results are kept, and of what they take.
type Retention struct {
	deleted, passes, refused, shrunk *prometheus.CounterVec
	objects, last, malformed         *prometheus.GaugeVec
	budget, allBudget                *prometheus.GaugeVec
	duration                         *prometheus.HistogramVec
	held                             *heldBytes
}

// NewRetention registers the metrics. It fails if they are registered.
func NewRetention(registry Registry) (*Retention, error) {
	m := making{registry: registry}
	r := &Retention{
		deleted: m.counter(retentionDeleted), passes: m.counter(retentionPasses),
		refused: m.counter(retentionRefused), shrunk: m.counter(resultsShrunk),
		objects: m.gauge(retentionObjects), last: m.gauge(retentionLast),
		budget: m.gauge(resultsBudget), allBudget: m.gauge(resultsAllBudget), malformed: m.gauge(retentionMalformed),
		duration: m.histogram(retentionDuration),
		held:     newHeldBytes(),
	}
	m.register(r.held)
	return r, m.finish("retention")
}

// Deleted counts an object that was deleted.
func (r *Retention) Deleted(reason retain.Reason) { r.deleted.WithLabelValues(string(reason)).Inc() }

// Refused counts a deletion that the API server refused.
func (r *Retention) Refused(cause apierr.Cause) { r.refused.WithLabelValues(string(cause)).Inc() }

// Surveyed sets what a pass found, before it deletes anything.
func (r *Retention) Surveyed(s *retain.Survey) {
	for _, class := range []retain.Class{retain.Results, retain.Part, retain.Captured, retain.Foreign} {
		r.objects.WithLabelValues(string(class)).Set(float64(s.Counts[class]))
	}
	r.malformed.WithLabelValues().Set(float64(s.Malformed))
}

// PassCompleted counts a complete pass, when it ended and how long it took.
func (r *Retention) PassCompleted(at time.Time, took time.Duration) {
	r.passes.WithLabelValues(passComplete).Inc()
	r.duration.WithLabelValues().Observe(took.Seconds())
	r.last.WithLabelValues().Set(float64(at.Unix()))
}

// PassFailed counts a pass that could not check all results.
func (r *Retention) PassFailed() { r.passes.WithLabelValues(passFailed).Inc() }

// SetBudgets sets how much space results may take.
func (r *Retention) SetBudgets(budgets retain.Budgets) {
	r.budget.WithLabelValues().Set(float64(budgets.Namespace))
	r.allBudget.WithLabelValues().Set(float64(budgets.Cluster))
}

// SetBytes sets how much space results take in a namespace; 0 means that it has none.
func (r *Retention) SetBytes(of string, bytes int64) { r.held.set(of, bytes) }

// ResetBytes sets how much space results take in every namespace that has any.
func (r *Retention) ResetBytes(bytes map[string]int64) { r.held.reset(bytes) }

// Shrunk counts a run with less log text stored because of a budget.
func (r *Retention) Shrunk(budget retain.Budget) { r.shrunk.WithLabelValues(string(budget)).Inc() }
