package joblogs

import (
	"bytes"
	"context"
	"errors"

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
// all of it. The error is errNoMemory only.
//
// Neither the status of the answer nor its clean end says so: the API server
// does not tell when the kubelet's answer breaks off, and the kubelet sends
// errors as text once it has begun to answer.
func (r *Reader) read(ctx context.Context, t *task, into *sink) (results.Capture, error) {
	err := r.stream(ctx, t, corev1.PodLogOptions{}, into)
	if errors.Is(err, errNoMemory) {
		return results.Capture{}, errNoMemory
	}
	if err != nil {
		return classify(err, t.pod), nil
	}
	if message := r.errorText(ctx, t, into.text); message != "" {
		into.text = withoutEnd(into.text, len(message))
		return classifyText(message, t), nil
	}
	if t.end == nil {
		return unlessFinal(t.pod, results.ReasonStillRunning, "the container was running"), nil
	}
	return r.head(ctx, t, into.text, r.verify(ctx, t, into.text)), nil
}

// kept returns text, nil if it is empty.
func kept(text *logtext.Buffer) *logtext.Buffer {
	if text.Seen() == 0 {
		return nil
	}
	return text
}

// withoutEnd returns text without its last size bytes, or as it is where it is
// not kept whole: then the capture alone tells of them.
func withoutEnd(text *logtext.Buffer, size int) *logtext.Buffer {
	if !text.Whole() {
		return text
	}
	cut := logtext.NewBuffer(text.Capacity())
	// A Buffer never fails.
	_, _ = cut.Write(text.Head()[:text.Kept()-size])
	return cut
}

// verify reads the last lines of the log of an instance that has ended again
// and compares them with the end of text.
//
// It is not told apart where the log broke off at a place where it holds the
// same lines as at its end.
func (r *Reader) verify(ctx context.Context, t *task, text *logtext.Buffer) results.Capture {
	lines := int64(verifyLines)
	again := logtext.NewBuffer(verifyBuffer)
	if err := r.stream(ctx, t, corev1.PodLogOptions{TailLines: &lines}, again); err != nil {
		capture := classify(err, t.pod)
		capture.Message = logtext.Line("comparing the end of the log: "+capture.Message, maxCaptureMessage)
		return capture
	}
	if !sameEnd(text, again) {
		return curable(results.ReasonEndedEarly, "the stream ended before the log did")
	}
	return results.Capture{Complete: true}
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
