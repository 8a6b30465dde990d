package joblogs

import (
	"context"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

// stampedEnd is the end of a log that was read with timestamps. It implements lines.
type stampedEnd struct {
	// kept is the text without timestamps.
	kept *logtext.Buffer
	// last is when the last of the lines was written.
	last  stamp
	lines int
}

func newStampedEnd() *stampedEnd { return &stampedEnd{kept: logtext.NewBuffer(verifyBuffer)} }

// begin implements lines.
func (e *stampedEnd) begin(at stamp) {
	e.last = at
	e.lines++
}

// text implements lines. A Buffer never fails.
func (e *stampedEnd) text(p []byte) { _, _ = e.kept.Write(p) }

// end implements lines.
func (e *stampedEnd) end() { _, _ = e.kept.Write(newline) }

// isLater reports whether the last line was written after read. The first line says
// nothing: it may be the rest of a longer one, which has the timestamp of its beginning
// where it is read whole.
func (e *stampedEnd) isLater(read stamp) bool { return e.lines > 1 && e.last > read }

// compareEnd is verify for a log that may go away meanwhile, with its container, which
// has ended then: gone reports that. With its node a stream goes too, at any place of
// the log. What is read for this goes to again. Timestamps tell lines apart that are
// equal.
func (f *Following) compareEnd(ctx context.Context, t *task, again *stampedEnd) (capture results.Capture, gone bool) {
	lines := splitter{to: again}
	failure := f.reader.readEnd(ctx, t, endOptions(verifyLines, true), &lines)
	rest := lines.rest()
	// Where it is no error it is of the log all the same.
	again.text([]byte(rest))
	switch {
	case failure != nil && !failure.Retryable && failure.Reason != results.ReasonNodeGone,
		failure == nil && looksLikeError(rest) && namesContainer(rest, t):
		return results.Capture{Complete: true}, true
	case failure != nil:
		return *failure, false
	case !sameEnd(f.tail, again.kept), again.isLater(f.resumed.latest):
		return retryable(results.ReasonEndedEarly, "the stream ended before the log did"), false
	default:
		return results.Capture{Complete: true}, false
	}
}
