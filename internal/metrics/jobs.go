package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/results"
)

// retryLogs is the class of passes that are repeated for their logs. The others are
// those of package apierr.
const retryLogs = "logs"

func jobDefinitions() []Definition {
	return []Definition{
		jobsStored, finishToStored, finishToDeleted, resultsSize, logKept, logLeftOut, redactions,
		resultsLost, resultsMissing, retries, refusals, eventLists,
	}
}

var (
	outcomes = Label{Name: "outcome", Values: []Value{
		{api.StatusCompleted, "The Job completed."},
		{api.StatusFailed, "The Job failed."},
	}}
	jobsStored = Definition{
		Name: Prefix + "jobs_stored_total", Kind: Counter,
		Help: "Jobs whose results were stored and reported, by outcome and by whether their logs are complete.",
		Labels: []Label{outcomes, {Name: "capture", Values: []Value{
			value(results.LogsComplete, "Every log is stored whole."),
			value(results.LogsIncomplete, "Logs are missing or shortened, for good."),
			value(results.LogsKept, "Logs could not be read until `--log-deadline`, and the Job is kept for that."),
		}}},
	}
	// The time at which a Job finished has whole seconds, so that nothing much
	// below one can be told apart.
	durations      = []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}
	finishToStored = Definition{
		Name: Prefix + "finish_to_stored_seconds", Kind: Histogram,
		Help:   "From the end of a Job, which is known in whole seconds, until its results were stored and reported.",
		Labels: []Label{outcomes}, Buckets: durations,
	}
	finishToDeleted = Definition{
		Name: Prefix + "finish_to_deleted_seconds", Kind: Histogram,
		Help:   "From the end of a Job, which is known in whole seconds, until the manager deleted it; deletions by a TTL are not counted.",
		Labels: []Label{outcomes}, Buckets: durations,
	}
	resultsSize = Definition{
		Name: resultsPrefix + "size_bytes", Kind: Histogram,
		Help:    "Size of the results of a Job, parts included, in bytes.",
		Buckets: []float64{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20},
	}
	logKept = Definition{
		Name: Prefix + "log_kept_bytes_total", Kind: Counter,
		Help: "Bytes of logs that are stored in results, before they were compressed.",
	}
	logLeftOut = Definition{
		Name: Prefix + "log_left_out_bytes_total", Kind: Counter,
		Help: "Bytes of logs that were read and did not fit into results.",
	}
	redactions = Definition{
		Name: Prefix + "redactions_total", Kind: Counter,
		Help: "Credentials replaced in logs and messages that were stored.",
	}
	resultsLost = Definition{
		Name: resultsPrefix + "lost_total", Kind: Counter,
		Help: "Finished Jobs that were deleted without results, in a namespace that is not being deleted. It should be 0.",
	}
	resultsMissing = Definition{
		Name: resultsPrefix + "missing_total", Kind: Counter,
		Help: "Results that a Job called stored and that were missing or damaged before the Job was deleted; they are stored again.",
	}
	retries = Definition{
		Name: Prefix + "retries_total", Kind: Counter,
		Help: "Passes over a Job that have to be repeated, by class.",
		Labels: []Label{{Name: "class", Values: []Value{
			value(apierr.Conflict, "The Job changed meanwhile."),
			value(apierr.Transient, "The API server was busy or away."),
			value(apierr.Rejected, "A user or operator has to act: see `"+Prefix+"refusals_total`."),
			value(apierr.NotFound, "Something was not found, although the Job exists."),
			{retryLogs, "Logs could not be read yet."},
		}}},
	}
	refusals = Definition{
		Name: Prefix + "refusals_total", Kind: Counter,
		Help:   "Passes over a Job that the API server ended with a refusal, by cause.",
		Labels: []Label{causes},
	}
)

// The values of the label result of eventLists.
const (
	eventsListed = "listed"
	eventsFailed = "failed"
)

var eventLists = Definition{
	Name: Prefix + "event_lists_total", Kind: Counter,
	Help: "Lists of the Warning Events of a namespace, for results of Jobs that failed. Jobs that fail within 2 seconds share one.",
	Labels: []Label{{Name: "result", Values: []Value{
		{eventsListed, "The Events were listed."},
		{eventsFailed, "They could not be listed, or not in time; results say so and have none."},
	}}},
}

// Jobs are the metrics of what becomes of Jobs. A nil one counts nothing.
type Jobs struct {
	stored, logKept, logLeftOut, redactions, lost, missing, retries, refusals, eventLists *prometheus.CounterVec
	toStored, toDeleted, size                                                             *prometheus.HistogramVec
}

// NewJobs registers the metrics. It fails if they are registered.
func NewJobs(registry Registry) (*Jobs, error) {
	m := making{registry: registry}
	j := &Jobs{
		stored: m.counter(jobsStored), logKept: m.counter(logKept), logLeftOut: m.counter(logLeftOut),
		redactions: m.counter(redactions), lost: m.counter(resultsLost), missing: m.counter(resultsMissing),
		retries: m.counter(retries), refusals: m.counter(refusals), eventLists: m.counter(eventLists),
		toStored: m.histogram(finishToStored), toDeleted: m.histogram(finishToDeleted), size: m.histogram(resultsSize),
	}
	return j, m.finish("jobs")
}

// Run is what is counted of a run whose results are stored.
type Run struct {
	// Outcome is the value of the Job's status: completed or failed.
	Outcome string
	Logs    results.Completeness
	// Took is the time since the Job's end.
	Took time.Duration
	// Bytes are what the results take, parts included.
	Bytes int
	// LogKept and LogLeftOut are bytes of logs, Redactions what was replaced.
	LogKept, LogLeftOut, Redactions int64
}

// Stored counts a run whose results are stored and reported.
func (j *Jobs) Stored(run *Run) {
	if j == nil {
		return
	}
	j.stored.WithLabelValues(run.Outcome, string(run.Logs)).Inc()
	j.toStored.WithLabelValues(run.Outcome).Observe(max(0, run.Took).Seconds())
	j.size.WithLabelValues().Observe(float64(run.Bytes))
	j.logKept.WithLabelValues().Add(float64(run.LogKept))
	j.logLeftOut.WithLabelValues().Add(float64(run.LogLeftOut))
	j.redactions.WithLabelValues().Add(float64(run.Redactions))
}

// Deleted counts a Job that the manager deleted, and how long after its end.
func (j *Jobs) Deleted(outcome string, took time.Duration) {
	if j != nil {
		j.toDeleted.WithLabelValues(outcome).Observe(max(0, took).Seconds())
	}
}

// Lost counts a finished Job that was deleted without results.
func (j *Jobs) Lost() {
	if j != nil {
		j.lost.WithLabelValues().Inc()
	}
}

// Missing counts results that a Job calls stored and that are missing or damaged.
func (j *Jobs) Missing() {
	if j != nil {
		j.missing.WithLabelValues().Inc()
	}
}

// Retried counts a pass that ended with an error of this class.
func (j *Jobs) Retried(class apierr.Class) {
	if j != nil {
		j.retries.WithLabelValues(string(class)).Inc()
	}
}

// RetriedLogs counts a pass that is repeated because logs could not be read yet.
func (j *Jobs) RetriedLogs() {
	if j != nil {
		j.retries.WithLabelValues(retryLogs).Inc()
	}
}

// ListedEvents counts a list of Events.
func (j *Jobs) ListedEvents(err error) {
	if j == nil {
		return
	}
	result := eventsListed
	if err != nil {
		result = eventsFailed
	}
	j.eventLists.WithLabelValues(result).Inc()
}

// Refused counts a pass that ended with a refusal.
func (j *Jobs) Refused(cause apierr.Cause) {
	if j != nil {
		j.refusals.WithLabelValues(string(cause)).Inc()
	}
}
