package joblogs

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

// Log is one log of a pod that is being deleted: what is known without reading
// it, or how to read it.
type Log struct {
	// ContainerLog tells why there is nothing to read; of a Readable one it has
	// the name alone.
	results.ContainerLog
	// InstanceID is the container's ID as the kubelet tells it; may be "".
	InstanceID string
	// Ended is true once the instance is reported to have ended.
	Ended bool

	task *task
}

// Readable reports whether Follow can read the log.
func (l Log) Readable() bool { return l.task != nil }

// LogsOf lists the logs of pod as Collect would read them.
func LogsOf(pod *corev1.Pod) []Log {
	collected, tasks := assign([]*corev1.Pod{pod})
	logs := make([]Log, 0, len(collected[0].Logs))
	for i := range collected[0].Logs {
		log := Log{ContainerLog: collected[0].Logs[i]}
		for _, t := range tasks {
			if t.log == &collected[0].Logs[i] {
				log.task, log.InstanceID, log.Ended = t, t.containerID, t.end != nil
			}
		}
		logs = append(logs, log)
	}
	return logs
}

// Follow copies a Readable log, redacted, from its beginning to dst while it is
// being written, until it ends, ctx ends or dst fails. What it returns has no
// text; its capture tells whether that was all of the log, as far as the kubelet
// still has it to compare. Whether the container has ended is the caller's to
// find out.
//
// No stream of Options.Streams is taken, so that it waits for nobody, and a
// container that is silent is waited for.
func (r *Reader) Follow(ctx context.Context, log Log, dst io.Writer) results.ContainerLog {
	t, read := log.task, log.ContainerLog
	opts := &corev1.PodLogOptions{Container: t.container, Previous: t.previous, Follow: true}
	redactor := r.options.Redact.Writer(dst)
	text := &followed{dst: redactor, end: logtext.NewBuffer(verifyBuffer)}
	err := r.copyLog(ctx, t, opts, text)
	failure := ""
	if err == nil {
		failure = text.dropError(t)
	}
	if flushed := errors.Join(text.flush(), redactor.Close()); err == nil {
		err = flushed
	}
	read.Capture = r.judgeFollowed(ctx, t, text.end, failure, err)
	read.Redacted = redactor.Counts()
	return read
}

// judgeFollowed tells whether what came is the log, given the kubelet's error at
// its end and how its stream ended.
func (r *Reader) judgeFollowed(ctx context.Context, t *task, end *logtext.Buffer, failure string, err error) results.Capture {
	switch {
	case ctx.Err() != nil:
		return incurable(results.ReasonStillRunning, "the container did not end in its pod's grace period")
	case err != nil:
		return classify(err, t.pod)
	case removed(failure, t):
		return results.Capture{Complete: true}
	case failure != "":
		redacted, _ := r.options.Redact.String(failure)
		return classifyText(redacted, t)
	default:
		return r.head(ctx, r.endedNow(t), end, r.confirm(ctx, t, end))
	}
}

// endedNow returns t with an end, where the watch has not told of it yet.
func (r *Reader) endedNow(t *task) *task {
	if t.end != nil {
		return t
	}
	ended := *t
	ended.end = &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(r.options.Clock.Now())}
	for _, c := range results.Containers(t.pod) {
		if running := c.State().Running; c.Name == t.container && running != nil {
			ended.end.StartedAt = running.StartedAt
		}
	}
	return &ended
}

// confirm is verify for a log that may go away meanwhile, with its container.
func (r *Reader) confirm(ctx context.Context, t *task, end *logtext.Buffer) results.Capture {
	lines := int64(verifyLines)
	again := logtext.NewBuffer(verifyBuffer)
	if err := r.stream(ctx, t, corev1.PodLogOptions{TailLines: &lines}, again); err != nil {
		capture := classify(err, t.pod)
		if !capture.Curable {
			return results.Capture{Complete: true}
		}
		return curable(capture.Reason, "comparing the end of the log: "+capture.Message)
	}
	last := lastLine(again)
	switch {
	case looksLikeError(last) && namesContainer(last, t):
		return results.Capture{Complete: true}
	case !sameEnd(end, again):
		return curable(results.ReasonEndedEarly, "the stream ended before the log did")
	default:
		return results.Capture{Complete: true}
	}
}

// followed passes a log on, but for the line that is not complete yet: at the
// end that may be the kubelet's error. It keeps the end of the log.
type followed struct {
	dst  io.Writer
	end  *logtext.Buffer
	line []byte
}

// maxErrorText is more than the kubelet's errors have, in bytes.
const maxErrorText = 4 << 10

// Write implements io.Writer.
func (f *followed) Write(p []byte) (int, error) {
	// A Buffer never fails.
	_, _ = f.end.Write(p)
	rest := p
	if whole := lineEnd(p); whole > 0 || len(f.line) > maxErrorText {
		if err := f.flush(); err != nil {
			return 0, err
		}
		if _, err := f.dst.Write(p[:whole]); err != nil {
			return 0, fmt.Errorf("keeping a log: %w", err)
		}
		rest = p[whole:]
	}
	f.line = append(f.line, rest...)
	return len(p), nil
}

func (f *followed) flush() error {
	line := f.line
	f.line = nil
	if _, err := f.dst.Write(line); err != nil {
		return fmt.Errorf("keeping a log: %w", err)
	}
	return nil
}
