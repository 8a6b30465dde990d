package localcluster

import (
	"fmt"
	"io"
	"time"
)

// reporter writes lines about progress; without a writer it writes nothing.
type reporter struct {
	w io.Writer
}

func (r reporter) line(format string, args ...any) {
	if r.w != nil {
		fmt.Fprintf(r.w, format+"\n", args...)
	}
}

// since returns the time that passed, as exact as a reader wants it.
func since(start time.Time) string {
	elapsed := time.Since(start)
	if elapsed < time.Minute {
		return elapsed.Round(100 * time.Millisecond).String()
	}
	return elapsed.Round(time.Second).String()
}
