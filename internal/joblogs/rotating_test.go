package joblogs

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// message is one line of a log file as the container runtime writes it: a line
// of the container's, or a piece of one that is too long.
type message struct {
	at      time.Time
	text    string
	partial bool
}

// logFile is a LogStreamer that sends a log file as the kubelet's ReadLogs does.
// What a followed stream brings can be cut short, with an error or without; then
// the file can become another one.
type logFile struct {
	messages []message
	// cuts are after how many bytes a followed stream ends, one after the other;
	// those after the last have no cut.
	cuts []int
	// clean has streams that are cut end as if the log did.
	clean bool
	// rotated is what the file holds from the second stream on; nil: the same.
	rotated []message
	// streams counts those that were followed.
	streams int
	since   []time.Time
}

// send returns what the kubelet sends of messages.
func send(messages []message, opts *corev1.PodLogOptions) string {
	if opts.TailLines != nil {
		messages = messages[max(0, len(messages)-int(*opts.TailLines)):]
	}
	var out strings.Builder
	newLine := true
	for _, m := range messages {
		text := m.text
		if !m.partial {
			text += "\n"
		}
		if opts.SinceTime == nil || !m.at.Before(opts.SinceTime.Truncate(time.Second)) {
			if opts.Timestamps && newLine {
				out.WriteString(m.at.Format(kubeletStamp) + " ")
			}
			out.WriteString(text)
		}
		newLine = text == "" || text[len(text)-1] == '\n'
	}
	return out.String()
}

var errCut = errors.New("connection lost")

// OpenLog implements LogStreamer.
func (l *logFile) OpenLog(_ context.Context, _, _ string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	if l.streams > 0 && l.rotated != nil {
		l.messages, l.rotated = l.rotated, nil
	}
	text := send(l.messages, opts)
	if !opts.Follow {
		return io.NopCloser(strings.NewReader(text)), nil
	}
	l.streams++
	if opts.SinceTime != nil {
		l.since = append(l.since, opts.SinceTime.Time)
	}
	if l.streams > len(l.cuts) || l.cuts[l.streams-1] >= len(text) {
		return io.NopCloser(strings.NewReader(text)), nil
	}
	end := io.EOF
	if !l.clean {
		end = errCut
	}
	return io.NopCloser(io.MultiReader(strings.NewReader(text[:l.cuts[l.streams-1]]), failing{end})), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// written returns what the container wrote.
func written(messages []message) string { return send(messages, &corev1.PodLogOptions{}) }

var stampedOptions = &corev1.PodLogOptions{Timestamps: true}

// repeating sends the whole log twice in the first stream.
type repeating struct{ logFile }

func (r *repeating) OpenLog(ctx context.Context, namespace, pod string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	body, err := r.logFile.OpenLog(ctx, namespace, pod, opts)
	if err != nil || !opts.Follow || r.streams > 1 {
		return body, err
	}
	return io.NopCloser(io.MultiReader(body, strings.NewReader(send(r.messages, opts)))), nil
}
