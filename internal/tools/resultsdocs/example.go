package main

import (
	"time"

	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/results"
)

// exampleRun is a run of a CronJob's Job whose container failed once, and then
// reported results of its own. Its log has a byte that is not text.
func exampleRun() results.Run {
	start := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	job := jobtest.MakeJob("reports", "nightly-report-29898840").UID("5d1c4cf0-8a6f-4f0e-9c8e-2b1f6f6f3a01").
		Started(start).Completed(start.Add(75 * time.Second)).Obj()
	pod := runs.MakePod("nightly-report-29898840-x7k2p", start).
		Container("report", 0, []byte("reading orders of 2026-11-22\n\x1b[32mreport written\x1b[0m\n")).
		ImageID("localhost/busybox@sha256:9ae97d36d26566ff84e8893c64a6dc4fe8ca6d1144bf5b87b2b85a32def253c7").
		Said(`{"records-processed": "1,234,567", "output-location": "s3://reports/2026-11-22/", "status": "green"}`).
		Restarted(1, 3, []byte("orders.csv: not there yet\n"))
	run := runs.Of(job, pod)
	run.CronJob = "nightly-report"
	run.ExpiresAt = new(run.CreatedAt.Add(30 * 24 * time.Hour))
	return run
}
