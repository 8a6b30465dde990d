package main

import (
	"strings"
	"testing"
)

func TestMetrics(t *testing.T) {
	text := rendered(t, metricsFile)
	for _, want := range []string{
		"### `job_handler_jobs_stored_total`\n\ncounter by `outcome`, `capture`. ", "| `kept` | ", "Classic buckets up to 0.01, 0.05, ",
		"Classic buckets up to 4Ki, 16Ki, 64Ki, 256Ki, 1Mi, 4Mi, 16Mi.", "Absent: Until the first test.", "`namespace`: The namespaces with results",
		"### `job_handler_results_lost_total`\n\ncounter. ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(text, "\n\n\n") {
		t.Error("empty lines in a row")
	}
}
