package capture

import (
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/results"
)

// stored returns an object with one log of one pod.
func stored(t testing.TB, text string, capture captureRecord) map[string][]byte {
	t.Helper()
	log := logRecord{Container: "main", Instance: "containerd://main", Capture: capture, Head: int64(len(text))}
	packed := gz(t, text)
	log.Size = int64(len(packed))
	return values(t, packed, podRecord{Pod: newPodJSON(ended(ours(aPod("p", "main"))), nil), Logs: []logRecord{log}})
}

// TestMerged has of a pod that is there twice each log be the better one, whatever
// their order: results.Better has the rule.
func TestMerged(t *testing.T) {
	whole, broken := captureRecord{Complete: true}, captureRecord{Reason: results.ReasonStillRunning}
	tests := map[string]struct {
		a, b map[string][]byte
		want string
		then results.Capture
	}{
		"complete and longer":                 {stored(t, "short\n", broken), stored(t, "longer\n", whole), "longer\n", results.Capture(whole)},
		"longer":                              {stored(t, "longer\n", broken), stored(t, "short\n", broken), "longer\n", results.Capture(broken)},
		"longer than what looks complete":     {stored(t, "longer\n", broken), stored(t, "whole\n", whole), "longer\n", results.Capture(broken)},
		"complete, where both have all of it": {stored(t, "whole\n", broken), stored(t, "whole\n", whole), "whole\n", results.Capture(whole)},
	}
	for what, tc := range tests {
		t.Run(what, func(t *testing.T) {
			for _, order := range [][]map[string][]byte{{tc.a, tc.b}, {tc.b, tc.a}} {
				got := restoredOf(t, order...)
				if len(got) != 1 || len(got[0]) != 1 || got[0][0].Text != tc.want || got[0][0].Capture != tc.then {
					t.Errorf("%v", got)
				}
			}
		})
	}
}

// TestMergedWithCut has a stored copy that is whole be kept, where memory ran short of
// all of the log here.
func TestMergedWithCut(t *testing.T) {
	text := strings.Repeat("line\n", 1<<10)
	r := mustRestore(t, New(nil, Options{}), stored(t, text, captureRecord{Complete: true}))
	here := mustRestore(t, New(nil, Options{}), stored(t, text, captureRecord{Complete: true}))
	here.captured[0].logs[0].text.cut(100)
	all, release := r.With(here.captured)
	defer release()
	if got := keptIn(all, nil); got[0][0].Text != text || !got[0][0].Capture.Complete {
		t.Errorf("%v", got)
	}
}
