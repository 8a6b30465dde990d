package results

import (
	"encoding/json"
	"testing"

	"github.com/job-handler/job-handler/internal/api"
)

// TestLogModeOfFollowedLogs holds that logs that were followed are stored as
// those that were read, and that the record says which it was.
func TestLogModeOfFollowedLogs(t *testing.T) {
	run := completedRun(podAt("p", 0).with("main", exited(0), "done\n"))
	full := build(t, run).Data[api.DataLogs]
	for mode, want := range map[string]string{"": api.LogModeFull, api.LogModeFull: api.LogModeFull, api.LogModeFollow: api.LogModeFollow} {
		run.LogMode = mode
		content := build(t, run)
		if got := content.Data[api.DataLogs]; got != full {
			t.Errorf("%q: the logs are\n%s\nnot\n%s", mode, got, full)
		}
		var record Record
		if err := json.Unmarshal([]byte(content.Data[api.DataJobJSON]), &record); err != nil || record.LogMode != want {
			t.Errorf("%q: the record says %q, %v", mode, record.LogMode, err)
		}
	}
}
