package oracle_test

import (
	"fmt"
	"testing"
	"time"
)

// testClock has the clock of the manager's machine be off by an hour: what is
// left is the same, and so is what a process that dies leaves to the next.
func testClock(t *testing.T, w *world) {
	few := []flow{delayed, capturedSuccess}
	many := []flow{success, failure, successInParts, unseenTTL, deletedUnstored, unseenJob, capturedFailure}
	for _, fast := range []time.Duration{time.Hour, -time.Hour} {
		chosen := few
		if w.more {
			chosen = many
		}
		for _, f := range chosen {
			t.Run(fmt.Sprintf("%s, %s ahead", f.name, fast), func(t *testing.T) {
				t.Parallel()
				s := w.newScene(t)
				s.settings.fast = fast
				first, run := s.begin(f, func(l *link) fault { return atWrite(1, crashAfter(l)) })
				s.replace(first, nil)
				s.leaves(run, w.clean[f.name])
			})
		}
	}
}
