package results

import (
	"testing"

	"pgregory.net/rapid"
)

func TestBetter(t *testing.T) {
	complete := Capture{Complete: true}
	retryable := Capture{Reason: ReasonStillRunning, Message: "cut off", Retryable: true}
	final := Capture{Reason: ReasonStillRunning, Message: "cut off"}
	lost := Capture{Reason: ReasonCaptureLost, Message: "gone"}
	read := func(seen, kept int64, capture Capture) Reading {
		return Reading{Seen: seen, Kept: kept, Capture: capture}
	}
	rotated := func(message string) Capture { return Capture{Reason: ReasonRotatedHead, Message: message} }
	tests := map[string]struct {
		better, worse Reading
		want          Capture
	}{
		"complete and longer":                         {read(9, 9, complete), read(5, 5, retryable), complete},
		"both complete":                               {read(9, 9, complete), read(5, 5, complete), complete},
		"longer than what only looks complete":        {read(9, 9, retryable), read(5, 5, complete), final},
		"longer than what is not complete either":     {read(9, 9, retryable), read(5, 5, retryable), retryable},
		"longer than nothing":                         {read(9, 9, retryable), read(0, 0, Capture{Reason: ReasonNodeUnreachable, Retryable: true}), retryable},
		"the same, to its end":                        {read(9, 9, complete), read(9, 9, retryable), complete},
		"the same, of which more is at hand":          {read(9, 9, retryable), read(9, 2, complete), complete},
		"complete and longer, with less at hand":      {read(9, 2, complete), read(5, 5, retryable), complete},
		"what was read after a rotation":              {read(5, 5, complete), read(9, 2, retryable), rotated("an earlier read brought 9 bytes of the log, more than the last one")},
		"what was read after a rotation, and stopped": {read(5, 5, retryable), read(9, 2, retryable), retryable},
		"what is left where the stored copy is lost":  {read(5, 5, complete), read(9, 0, lost), lost},
		"what is left where as much of it is lost":    {read(9, 9, complete), read(9, 0, lost), complete},
		"an earlier copy where the last one is lost":  {read(5, 5, retryable), read(9, 0, complete), final},
		"nothing, to its end":                         {read(0, 0, complete), read(0, 0, retryable), complete},
		"something of which nothing else came":        {read(3, 3, retryable), read(0, 0, complete), final},
		"what saw more where nothing is at hand":      {read(9, 0, retryable), read(5, 0, retryable), retryable},
		"what saw more where as little is at hand":    {read(9, 2, retryable), read(5, 2, retryable), retryable},
		"what is complete where as little is at hand": {read(9, 2, complete), read(5, 2, complete), complete},
	}
	for what, tc := range tests {
		t.Run(what, func(t *testing.T) {
			if second, got := Better(tc.better, tc.worse); second || got != tc.want {
				t.Errorf("as the first: second %t, %+v, want %+v", second, got, tc.want)
			}
			if second, got := Better(tc.worse, tc.better); !second || got != tc.want {
				t.Errorf("as the second: second %t, %+v, want %+v", second, got, tc.want)
			}
		})
	}
}

// TestBetterIsHonest has the rule be checked for any two readings.
func TestBetterIsHonest(t *testing.T) {
	readings := rapid.Custom(func(t *rapid.T) Reading {
		r := Reading{Seen: rapid.Int64Range(0, 4).Draw(t, "seen")}
		r.Kept = rapid.Int64Range(0, r.Seen).Draw(t, "kept")
		if r.Capture.Complete = rapid.Bool().Draw(t, "complete"); !r.Capture.Complete {
			r.Capture.Reason = rapid.SampledFrom([]string{ReasonStillRunning, ReasonCaptureLost}).Draw(t, "reason")
			r.Capture.Retryable = rapid.Bool().Draw(t, "retryable")
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := readings.Draw(t, "a"), readings.Draw(t, "b")
		second, capture := Better(a, b)
		kept, other := a, b
		if second {
			kept, other = b, a
		}
		switch {
		case capture.Complete && kept.Seen < other.Seen:
			t.Error("complete, although more was seen")
		case capture.Complete && !a.Capture.Complete && !b.Capture.Complete:
			t.Error("complete, although neither is")
		case !capture.Complete && capture.Reason == "":
			t.Error("not complete, and no reason why")
		case kept.Kept < other.Kept && !betterFor(kept, other):
			t.Error("more is at hand of the other one, which is as good")
		}
		// Their order matters for nothing that can be told apart.
		again, same := Better(b, a)
		if again == second && a != b && a.Capture != b.Capture && (a.Seen != b.Seen || a.Kept != b.Kept) {
			t.Error("another one is kept the other way round")
		}
		if same != capture && again != second {
			t.Errorf("%+v the other way round, not %+v", same, capture)
		}
		// Once merged, the loser changes nothing any more.
		if twice, still := Better(Reading{Seen: kept.Seen, Kept: kept.Kept, Capture: capture}, other); twice && kept != other && !capture.Complete && kept.Kept > other.Kept {
			t.Errorf("the loser is kept after all: %+v", still)
		}
	})
}

// betterFor reports whether a may be kept although it has fewer bytes than b: it is
// complete, and saw more.
func betterFor(a, b Reading) bool { return a.Capture.Complete && a.Seen > b.Seen && a.Kept > 0 }
