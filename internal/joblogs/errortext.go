package joblogs

import (
	"bytes"
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/logtext"
)

// containerUnknown starts the error about a container that the runtime does not
// know, or cannot be asked about.
const containerUnknown = "unable to retrieve container logs for "

// errorTexts start the errors that the kubelet sends with status 200, at the
// end of what it has sent of the log. It writes no newline after them.
// https://github.com/kubernetes/kubernetes/issues/142258
var errorTexts = []string{
	containerUnknown,
	"failed to try resolving symlinks in path ",
	"failed to open log file ",
	"failed to read log file ",
	"failed to seek ",
	"failed to tail ",
	"failed to get parse function: ",
}

// errorText returns the kubelet's error at the end of text, "" if there is
// none. A container may write the same words itself. It is the kubelet's if it
// names the very container; or else, where it is all there is, if it comes in
// full although a single byte of the log is asked for.
func (r *Reader) errorText(ctx context.Context, t *task, text *logtext.Buffer) string {
	last := lastLine(text)
	if !looksLikeError(last) {
		return ""
	}
	if namesContainer(last, t) {
		return last
	}
	if text.Seen() > int64(len(last)) {
		return ""
	}
	one := int64(1)
	probe := logtext.NewBuffer(probeBuffer)
	err := r.stream(ctx, t, corev1.PodLogOptions{LimitBytes: &one}, probe)
	if err == nil && probe.Seen() <= one {
		return ""
	}
	return last
}

// lastLine returns the end of text after its last newline, "" if a newline
// ends it.
func lastLine(text *logtext.Buffer) string {
	b := end(text)
	return string(b[bytes.LastIndexByte(b, '\n')+1:])
}

func looksLikeError(line string) bool { return startsWithAny(line, errorTexts) }

// namesContainer reports whether line holds the pod's UID, as the paths of logs
// do, or the container's ID.
func namesContainer(line string, t *task) bool {
	id := t.containerID[strings.LastIndexByte(t.containerID, '/')+1:]
	return id != "" && strings.Contains(line, id) ||
		t.pod.UID != "" && strings.Contains(line, string(t.pod.UID))
}
