package results

import (
	"strings"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/logtext"
)

// reserve returns a size that job.json will not exceed, however much of the
// logs is kept.
func (d *details) reserve(run *Run) (int, error) {
	// Every byte of why may take two in JSON, for quotes and backslashes.
	longest := Summary{Why: strings.Repeat(`"`, maxSummary), Retryable: true}
	text, err := d.jobJSON(run, longest, (*instanceLog).largest)
	return len(text), err
}

// jobJSON returns the value of job.json. Its layout is no part of the
// contract: indented while it is short, else on one line.
func (d *details) jobJSON(run *Run, summary Summary, capture func(*instanceLog) CaptureRecord) (string, error) {
	outcome := run.Outcome
	record := Record{
		Schema: api.SchemaV1,
		Job: JobRecord{
			Name: line(run.Job.Name), Namespace: line(run.Job.Namespace),
			UID: line(string(run.Job.UID)), CronJob: line(run.CronJob),
		},
		Status:  outcome.Status(),
		Reason:  logtext.Line(outcome.Reason, maxReason),
		Message: run.message(), Explanation: run.explanationRecord(),
		StartTime: startTime(run), CompletionTime: rfc3339(outcome.FinishTime),
		LogMode:    run.LogMode,
		Capture:    RunCapture(summary),
		Redacted:   run.redacted,
		OwnResults: d.own,
		PodCounts: PodCounts{
			Succeeded: run.Job.Status.Succeeded, Failed: run.Job.Status.Failed,
			Seen: len(run.Pods), Missing: run.MissingPods, MayBeMissing: run.PerhapsMissingPods,
		},
		Pods:    d.records(capture),
		Omitted: d.omitted,
		Events:  run.eventRecords(), EventsNote: run.EventsNote,
	}
	if took, known := jobstatus.Duration(run.Job, outcome); known {
		whole := int64(took.Seconds())
		record.DurationSeconds = &whole
	}
	return d.marshal(record, "")
}
