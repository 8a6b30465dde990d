package results

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/why"
)

// manyEvents are the largest that there can be.
func manyEvents() []why.Event {
	var events []why.Event
	for i := range why.MaxEvents {
		events = append(events, why.Event{
			UID: "uid", Kind: "Pod", Name: strings.Repeat("p", why.MaxEventName), Reason: strings.Repeat("R", why.MaxEventName),
			Message: fmt.Sprintf("%04d %s", i, strings.Repeat("\x01", why.MaxEventMessage)), Count: 7,
			Last: time.Date(2026, 11, 5, 10, 0, i, 0, time.UTC),
		})
	}
	return events
}

// TestEventsAreBounded has Events leave room for everything else, whatever an object may
// hold: the newest are kept, and it is said how many are not.
func TestEventsAreBounded(t *testing.T) {
	for _, limit := range []int{MinBytes, 256 << 10, api.MaxResultsBytes} {
		run := failedRun(podAt("report-1", 1).with("main", exited(1), strings.Repeat("a line of the log\n", 10_000)))
		run.Events, run.EventsNote, run.MaxBytes = manyEvents(), "some may have expired", limit
		content := build(t, run)
		if size := content.Bytes(); size > limit {
			t.Errorf("%d bytes, of %d", size, limit)
		}
		text := content.Data[api.DataEvents]
		if len(text) > limit/eventsShare+256 || !strings.HasSuffix(text, "[job-handler: some may have expired]\n") {
			t.Errorf("%d: %d bytes, ends with %.60q", limit, len(text), text[max(0, len(text)-60):])
		}
		var record Record
		if err := json.Unmarshal([]byte(content.Data[api.DataJobJSON]), &record); err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(text, "Z  pod/")
		if lines != len(record.Events) {
			t.Errorf("%d lines, %d records", lines, len(record.Events))
		}
		if left := why.MaxEvents - lines; left > 0 && !strings.HasPrefix(text, fmt.Sprintf("[job-handler: %d Event", left)) {
			t.Errorf("%d left out: %.60q", left, text)
		}
		if lines > 0 && !strings.Contains(text, fmt.Sprintf("%04d", why.MaxEvents-1)) {
			t.Error("the newest is not there")
		}
	}
}

// TestEventsAboveABudget has Events take little where the results of a namespace take
// more than they may.
func TestEventsAboveABudget(t *testing.T) {
	run := failedRun(podAt("report-1", 1).with("main", exited(1), "\n"))
	run.Events, run.MaxLogBytes = manyEvents(), 16<<10
	if text := build(t, run).Data[api.DataEvents]; len(text) > 4<<10+256 {
		t.Errorf("%d bytes", len(text))
	}
}

func TestEventsAreRedacted(t *testing.T) {
	const secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"
	rules, err := redact.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := failedRun(podAt("report-1", 1).with("main", exited(1), "\n"))
	run.Redact = rules
	run.Events = []why.Event{{UID: "uid", Kind: "Job", Name: "report", Reason: "FailedCreate", Message: "token " + secret, Count: 1}}
	for key, value := range build(t, run).Data {
		if strings.Contains(value, secret[:12]) {
			t.Errorf("%s has the secret", key)
		}
	}
	if run.Events[0].Message != "token "+secret {
		t.Error("the run was changed")
	}
}
