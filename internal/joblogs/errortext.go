package joblogs

import (
	"bytes"
	"strings"

	"github.com/job-handler/job-handler/internal/logtext"
)

// containerUnknown starts the error about a container that the runtime does not
// know, or cannot be asked about.
const containerUnknown = "unable to retrieve container logs for "

// errorTexts start the errors that the kubelet sends with status 200, at the
// end of what it has sent of the log. It writes no newline after them, and no
// timestamp before them.
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

// notFoundText starts the error with which the kubelet ends a log that it has
// sent whole, when the container was removed before it looked at it again. It
// may follow upon the container's last words without a newline.
const notFoundText = "rpc error: code = NotFound desc = "

// followErrorTexts start the errors of a kubelet that cannot wait for more of a
// log. They do not name the container.
var followErrorTexts = []string{
	"failed to create fsnotify watcher: ",
	"failed to watch directory ",
}

// errorIn returns the kubelet's error that rest is, which came without a timestamp
// and a newline at the end of a stream with timestamps, "" if it is none.
func errorIn(rest string, t *task) string {
	if looksLikeError(rest) || startsWithAny(rest, followErrorTexts) || removed(rest, t) {
		return rest
	}
	return ""
}

// suspect returns the end of text, which was read without timestamps, if it may be the
// kubelet's error, else "". A container may write the same words itself. They are
// surely the kubelet's if they name the very container. Where they do not, and are not
// all there is, they are taken for the container's.
func suspect(text *logtext.Buffer, t *task) (message string, sure bool) {
	last := lastLine(text)
	switch {
	case !looksLikeError(last):
		return "", false
	case namesContainer(last, t):
		return last, true
	case text.Seen() > int64(len(last)):
		return "", false
	default:
		return last, false
	}
}

// lastLine returns the end of text after its last newline, "" if a newline
// ends it.
func lastLine(text *logtext.Buffer) string {
	b := endOf(text)
	return string(b[bytes.LastIndexByte(b, '\n')+1:])
}

func looksLikeError(line string) bool { return startsWithAny(line, errorTexts) }

// removed reports whether the error says that the container was removed.
func removed(failure string, t *task) bool {
	return strings.HasPrefix(failure, notFoundText) && namesContainer(failure, t)
}

// namesContainer reports whether line holds the pod's UID, as the paths of logs
// do, or the container's ID.
func namesContainer(line string, t *task) bool {
	id := t.containerID[strings.LastIndexByte(t.containerID, '/')+1:]
	return id != "" && strings.Contains(line, id) ||
		t.pod.UID != "" && strings.Contains(line, string(t.pod.UID))
}

func startsWithAny(text string, starts []string) bool {
	for _, start := range starts {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}
