package joblogs

import (
	"bytes"
	"context"
	"io"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	// verifyLines is how many lines are read again from the end. More than one,
	// since many logs end with a line that they hold more than once.
	verifyLines = 10
	// verifyBuffer is how many bytes are kept of them; half of it from the end.
	verifyBuffer = 8 << 10
)

// logEnd is the end of a log as it was read again, after all of it. It implements
// lines, for one that is read with timestamps.
type logEnd struct {
	// kept is the text without timestamps.
	kept *logtext.Buffer
	// first and last are when the first and the last of the lines were written; 0
	// without timestamps.
	first, last stamp
	lines       int
	// failure is the kubelet's error, which has no timestamp; "" if there is none, and
	// without timestamps.
	failure string
	// unread says why the end could not be read; nil if it could be.
	unread *results.Capture
}

// readEnd reads so many of the last lines of the log again.
func (r *Reader) readEnd(ctx context.Context, t *task, count int64, timestamps bool) *logEnd {
	end := &logEnd{kept: logtext.NewBuffer(verifyBuffer)}
	split, dst := &splitter{to: end}, io.Writer(end.kept)
	if timestamps {
		dst = split
	}
	if err := r.stream(ctx, t, corev1.PodLogOptions{TailLines: &count, Timestamps: timestamps}, dst); err != nil {
		unread := classify(err, t.pod)
		unread.Message = logtext.Line("comparing the end of the log: "+unread.Message, maxCaptureMessage)
		end.unread = &unread
	}
	if rest := split.rest(); looksLikeError(rest) {
		end.failure = rest
	}
	// Where it is no error it is of the log all the same.
	end.text([]byte(split.rest()))
	return end
}

// begin implements lines.
func (e *logEnd) begin(at stamp) {
	if e.lines == 0 {
		e.first = at
	}
	e.last = at
	e.lines++
}

// text implements lines. A Buffer never fails.
func (e *logEnd) text(p []byte) { _, _ = e.kept.Write(p) }

// end implements lines.
func (e *logEnd) end() { _, _ = e.kept.Write(newline) }

// isRemoved reports whether the log was removed with its container, which has ended
// then. With its node a stream is gone too, at any place of the log.
func (e *logEnd) isRemoved(t *task) bool {
	if e.unread != nil {
		return !e.unread.Retryable && e.unread.Reason != results.ReasonNodeGone
	}
	return namesContainer(e.failure, t)
}

// compare tells whether the log ends with text. latest is when the latest line of text
// was written, 0 if that is not known.
func (e *logEnd) compare(text *logtext.Buffer, latest stamp) results.Capture {
	switch {
	case e.unread != nil:
		return *e.unread
	case !sameEnd(text, e.kept), e.isLater(text, latest):
		return retryable(results.ReasonEndedEarly, "the stream ended before the log did")
	default:
		return results.Capture{Complete: true}
	}
}

// isLater reports whether the last line was written after latest: timestamps tell lines
// apart that are equal. A line alone says nothing unless it is all of text: it may be
// the rest of a longer one, which has the timestamp of its beginning where it is read
// whole.
func (e *logEnd) isLater(text *logtext.Buffer, latest stamp) bool {
	told := e.lines > 1 || e.kept.Seen() == text.Seen()
	return latest > 0 && told && e.last > latest
}

// linesToTell returns how many lines have to be read again, without timestamps, to tell
// the end of text from another place of the log: one more than the equal lines with
// which text ends, as far as they are kept, and no fewer than verifyLines.
func linesToTell(text *logtext.Buffer) int64 {
	rest := bytes.TrimSuffix(endOf(text), newline)
	last := rest[bytes.LastIndexByte(rest, '\n')+1:]
	equal := int64(0)
	for bytes.Equal(rest[bytes.LastIndexByte(rest, '\n')+1:], last) {
		equal++
		if len(rest) == len(last) {
			break
		}
		rest = rest[:len(rest)-len(last)-1]
	}
	return max(verifyLines, equal+1)
}

// sameEnd reports whether text ends with all of again, as far as both are kept.
func sameEnd(text, again *logtext.Buffer) bool {
	if (text.Seen() == 0) != (again.Seen() == 0) || text.Seen() < again.Seen() {
		return false
	}
	a, b := endOf(text), endOf(again)
	n := min(len(a), len(b))
	return bytes.Equal(a[len(a)-n:], b[len(b)-n:])
}

// endOf returns the last bytes of text, as far as they are kept in one piece.
func endOf(text *logtext.Buffer) []byte {
	if text.Whole() {
		return text.Head()
	}
	return text.Tail()
}
