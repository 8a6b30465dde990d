package joblogs

import (
	"bytes"
	"strings"
)

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

// dropError takes the kubelet's error off the end of the log and returns it, ""
// if there is none.
func (f *followed) dropError(t *task) string {
	line := string(f.line)
	at := strings.LastIndex(line, notFoundText)
	switch {
	case at >= 0 && namesContainer(line[at:], t):
	case looksLikeError(line) && namesContainer(line, t), startsWithAny(line, followErrorTexts):
		at = 0
	default:
		return ""
	}
	f.line = f.line[:at]
	return line[at:]
}

// removed reports whether the error says that the container was removed.
func removed(failure string, t *task) bool {
	return strings.HasPrefix(failure, notFoundText) && namesContainer(failure, t)
}

func startsWithAny(text string, starts []string) bool {
	for _, start := range starts {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}

// lineEnd returns how many bytes of p there are up to its last newline.
func lineEnd(p []byte) int { return bytes.LastIndexByte(p, '\n') + 1 }
