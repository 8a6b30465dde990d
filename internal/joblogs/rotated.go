package joblogs

import (
	"context"
	"fmt"
	"time"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	// rotationSize is the size of a log file at which a kubelet rotates it
	// unless it is told otherwise (containerLogMaxSize), in bytes.
	rotationSize = 10 << 20
	// leastRotated is the least of a log, in bytes, that is looked at: who writes
	// less in all has no log rotated, and of one that was, less is rarely left.
	leastRotated = 1 << 20
	// leastSilence is the least time from a container's start, which is known to
	// the second, to its first line that says something.
	leastSilence = 2 * time.Second
	// linePrefix is what the container runtime writes before each line: time,
	// stream and tag.
	linePrefix = 40
)

// head returns capture, of a log that was read whole, or, where its head may be
// gone, one that says so.
//
// The kubelet sends the current log file alone and does not tell of earlier
// ones, so a head that is gone cannot be seen, only supposed: see
// docs/development/decisions/rotated-head.md.
func (r *Reader) head(ctx context.Context, t *task, text *logtext.Buffer, capture results.Capture) results.Capture {
	if !capture.Complete || stored(text) < leastRotated {
		return capture
	}
	// What goes wrong is no evidence of anything.
	first, _ := r.FirstLine(ctx, Log{task: t})
	return headFrom(t, text, first)
}

// headFrom is head for a log that was read whole. first is when its first line was
// written, zero if that is not known.
func headFrom(t *task, text *logtext.Buffer, first time.Time) results.Capture {
	if t.end == nil || first.IsZero() {
		return results.Capture{Complete: true}
	}
	silence, rotated := mayBeRotated(stored(text), t.end.StartedAt.Time, first, t.end.FinishedAt.Time)
	if !rotated {
		return results.Capture{Complete: true}
	}
	return notRetryable(results.ReasonRotatedHead, fmt.Sprintf(
		"the head may be gone: the first line is from %s after the container's start, and what was written before a log is rotated cannot be read",
		silence.Round(time.Second)))
}

// stored returns about how many bytes text takes in the kubelet's log file.
func stored(text *logtext.Buffer) int64 { return text.Seen() + linePrefix*text.Lines() }

// mayBeRotated reports whether a log more likely lost its head than not: size bytes of it
// are left, the first of them written at first, and its container ran from start to end.
// It did if the container would have filled a log file before first, had it written as
// fast as afterwards. silence is the time before first.
func mayBeRotated(size int64, start, first, end time.Time) (silence time.Duration, rotated bool) {
	if start.IsZero() || end.IsZero() || size < leastRotated {
		return 0, false
	}
	silence = first.Sub(start)
	if silence < leastSilence {
		return silence, false
	}
	// FinishedAt is known to the second too, and may be before the last line.
	wrote := max(time.Second, end.Sub(first))
	return silence, float64(size)*silence.Seconds()/wrote.Seconds() >= rotationSize
}
