package joblogs

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/results"
)

// read reads one log whole into a sink and tells whether that was the log and
// all of it. Nothing is kept where nothing came. The error is errNoMemory only.
//
// Neither the status of the answer nor its clean end says so: the API server
// does not tell when the kubelet's answer breaks off, and the kubelet sends
// errors as text once it has begun to answer.
//
// The log is read without timestamps, which would make it larger by 31 bytes a line:
// see docs/development/decisions/two-ways-of-reading.md.
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
//
// The end of the log of an instance that has ended is read again. It is not told
// apart where the log broke off at a place where it holds the same lines as at its
// end, but for one line again and again.
func (r *Reader) judge(ctx context.Context, t *task, log *sink, err error) results.Capture {
	if err != nil {
		return classify(err, t.pod)
	}
	message, sure := suspect(log.raw, t)
	running := unlessFinal(t.pod, results.ReasonStillRunning, "the container was running")
	switch {
	case sure:
		return r.sentError(t, log, message)
	case message == "" && t.end == nil:
		return running
	}
	// Timestamps tell an error from the same words of the container.
	end := r.readEnd(ctx, t, linesToTell(log.raw), message != "")
	switch {
	case message != "" && (end.failure != "" || end.unread != nil):
		return r.sentError(t, log, message)
	case t.end == nil:
		return running
	default:
		return r.head(ctx, t, log.raw, end.compare(log.raw, 0))
	}
}

// sentError takes the kubelet's error off the log, and returns what it says.
func (r *Reader) sentError(t *task, log *sink, message string) results.Capture {
	redacted, _ := r.options.Redact.String(message)
	log.dropEnd(len(redacted))
	return classifyText(redacted, t)
}
