package main

import (
	"io"
	"math"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/job-handler/job-handler/internal/logtext"
)

// safe returns text in which everything that could steer a terminal is visible.
func safe(text string) string { return string(logtext.AppendReadable(nil, []byte(text))) }

// safeWriter makes everything visible that could steer a terminal. It treats a character
// that is split between two writes as invalid bytes.
type safeWriter struct{ io.Writer }

// Write implements io.Writer.
func (w safeWriter) Write(p []byte) (int, error) {
	if _, err := w.Writer.Write(logtext.AppendReadable(nil, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// size returns a number of bytes in at most three digits and a binary unit.
func size(bytes int64) string {
	const unit = 1024
	if bytes < unit {
		return strconv.FormatInt(bytes, 10) + "B"
	}
	value := float64(bytes)
	for _, suffix := range []string{"KiB", "MiB", "GiB"} {
		value /= unit
		if value < 9.95 {
			return strconv.FormatFloat(value, 'f', 1, 64) + suffix
		}
		if value < unit-0.5 {
			return strconv.FormatFloat(value, 'f', 0, 64) + suffix
		}
	}
	return strconv.FormatFloat(value/unit, 'f', 1, 64) + "TiB"
}

// took returns a duration in seconds for people, "" if it is unknown. Forged results may
// have more seconds than a time.Duration can hold: then it is the longest duration.
func took(seconds *int64) string {
	if seconds == nil {
		return ""
	}
	const most = int64(math.MaxInt64 / time.Second)
	return duration.HumanDuration(time.Duration(min(max(*seconds, 0), most)) * time.Second)
}

// ago returns how long before now something was, "" if the time is unknown.
func ago(now, then time.Time) string {
	if then.IsZero() {
		return ""
	}
	return duration.HumanDuration(max(0, now.Sub(then))) + " ago"
}
