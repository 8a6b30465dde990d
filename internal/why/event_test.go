package why

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

func event(reason, message string, seconds ...int) Event {
	e := Event{UID: "uid-p", Kind: "Pod", Name: "p", Reason: reason, Message: message, Count: max(1, len(seconds))}
	for i, s := range seconds {
		at := noon.Add(time.Duration(s) * time.Second)
		if i == 0 {
			e.First = at
		}
		e.Last = at
	}
	return e
}

func TestMerge(t *testing.T) {
	other := event("FailedMount", "no secret", 3)
	other.UID, other.Name = "uid-q", "q"
	got := Merge([]Event{
		event("FailedMount", "no secret", 4), other, event("FailedScheduling", "0/1 nodes", 2), event("FailedMount", "no secret", 1),
	})
	both := event("FailedMount", "no secret", 1, 4)
	if diff := cmp.Diff([]Event{event("FailedScheduling", "0/1 nodes", 2), other, both}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMergeLooksPastIDs has Events be one that differ in what is new each time.
func TestMergeLooksPastIDs(t *testing.T) {
	for name, test := range map[string]struct{ first, second string }{
		"the sandbox":   {`no runtime for sandbox "3ba689780f7898e5": x`, `no runtime for sandbox "d076b7fafd93f93a": x`},
		"a refused pod": {`pods "import-wv6kg" is forbidden`, `pods "import-x2cgc" is forbidden`},
		"a number":      {"used: cpu=15", "used: cpu=9"},
	} {
		t.Run(name, func(t *testing.T) {
			want := event("Failed", test.second, 1, 4)
			if diff := cmp.Diff([]Event{want}, Merge([]Event{event("Failed", test.first, 1), event("Failed", test.second, 4)})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := Merge([]Event{event("Failed", "no secret a", 1), event("Failed", "no secret b", 4)}); len(got) != 2 {
		t.Errorf("different messages are one: %v", got)
	}
}

func TestMergeKeepsTheNewest(t *testing.T) {
	var events []Event
	for i := range 3 * MaxEvents {
		events = append(events, event("Unhealthy", strings.Repeat("x", i), i))
	}
	got := Merge(events)
	if len(got) != MaxEvents || len(got[0].Message) != 2*MaxEvents || len(got[MaxEvents-1].Message) != 3*MaxEvents-1 {
		t.Errorf("%d Events, from %v to %v", len(got), got[0], got[len(got)-1])
	}
}

func TestEventString(t *testing.T) {
	for want, e := range map[string]Event{
		"2026-11-05T12:00:04Z  pod/p  FailedMount (2 times in 3s): no secret": event("FailedMount", "no secret", 1, 4),
		"2026-11-05T12:00:01Z  pod/p  FailedMount: no secret":                 event("FailedMount", "no secret", 1),
		`-  pod/p  Failed: a\nb\x1b`:                                          event("Failed", "a\nb\x1b"),
	} {
		if got := e.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
