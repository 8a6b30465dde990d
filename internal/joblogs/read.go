package joblogs

import (
	"bytes"
	"context"
	"errors"
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
	// probeBuffer holds an error text that is sent for a log.
	probeBuffer = 1 << 10
)

// read reads one log whole into a sink and tells whether that was the log and
// all of it. Nothing is kept where nothing came. The error is errNoMemory only.
//
// Neither the status of the answer nor its clean end says so: the API server
// does not tell when the kubelet's answer breaks off, and the kubelet sends
// errors as text once it has begun to answer.
func (r *Reader) read(ctx context.Context, t *task, log *sink) (results.ContainerLog, error) {
	err := r.stream(ctx, t, corev1.PodLogOptions{}, log)
	if full := errors.Join(log.close(), err); errors.Is(full, errNoMemory) {
		return results.ContainerLog{}, errNoMemory
	}
	read := results.ContainerLog{Redacted: log.redactor.Counts(), Capture: r.judge(ctx, t, log, err)}
	read.Text, read.Packed = log.kept()
	return read, nil
}

// judge tells whether what came is the log, given how its stream ended. An error
// text that was sent for its end is taken off.
func (r *Reader) judge(ctx context.Context, t *task, log *sink, err error) results.Capture {
	if err != nil {
		return classify(err, t.pod)
	}
	if message := r.errorText(ctx, t, log.raw); message != "" {
		redacted, _ := r.options.Redact.String(message)
		log.dropEnd(len(redacted))
		return classifyText(redacted, t)
	}
	if t.end == nil {
		return unlessFinal(t.pod, results.ReasonStillRunning, "the container was running")
	}
	return r.head(ctx, t, log.raw, r.verify(ctx, t, log.raw))
}

// verify reads the last lines of the log of an instance that has ended again
// and compares them with the end of text.
//
// It is not told apart where the log broke off at a place where it holds the
// same lines as at its end, but for one line again and again.
func (r *Reader) verify(ctx context.Context, t *task, text *logtext.Buffer) results.Capture {
	again := logtext.NewBuffer(verifyBuffer)
	if failure := r.readEnd(ctx, t, endOptions(linesToTell(text), false), again); failure != nil {
		return *failure
	}
	if !sameEnd(text, again) {
		return retryable(results.ReasonEndedEarly, "the stream ended before the log did")
	}
	return results.Capture{Complete: true}
}

// endOptions select the last lines of a log.
func endOptions(lines int64, timestamps bool) corev1.PodLogOptions {
	return corev1.PodLogOptions{TailLines: &lines, Timestamps: timestamps}
}

// linesToTell returns how many lines have to be read again to tell the end of text from
// another place of the log: one more than the equal lines with which text ends, as far
// as they are kept, and no fewer than verifyLines.
func linesToTell(text *logtext.Buffer) int64 {
	rest := bytes.TrimSuffix(end(text), newline)
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

// readEnd reads the last lines of the log, which opts select, to again. What it returns
// says why it cannot, nil if it can.
func (r *Reader) readEnd(ctx context.Context, t *task, opts corev1.PodLogOptions, again io.Writer) *results.Capture {
	err := r.stream(ctx, t, opts, again)
	if err == nil {
		return nil
	}
	failure := classify(err, t.pod)
	failure.Message = logtext.Line("comparing the end of the log: "+failure.Message, maxCaptureMessage)
	return &failure
}

// sameEnd reports whether text ends with all of again, as far as both are kept.
func sameEnd(text, again *logtext.Buffer) bool {
	if (text.Seen() == 0) != (again.Seen() == 0) || text.Seen() < again.Seen() {
		return false
	}
	a, b := end(text), end(again)
	n := min(len(a), len(b))
	return bytes.Equal(a[len(a)-n:], b[len(b)-n:])
}

// end returns the last bytes of text, as far as they are kept in one piece.
func end(text *logtext.Buffer) []byte {
	if text.Whole() {
		return text.Head()
	}
	return text.Tail()
}
