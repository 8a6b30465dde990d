package joblogs

import "strings"

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
// and a newline at the end of a stream, "" if it is none.
func errorIn(rest string, t *task) string {
	if looksLikeError(rest) || startsWithAny(rest, followErrorTexts) || removed(rest, t) {
		return rest
	}
	return ""
}

// dropError takes the kubelet's error off the last line, which has no end, and
// returns it, "" if there is none. What the container itself wrote is passed on.
func (r *resumed) dropError(t *task) string {
	line := string(r.held)
	at := strings.LastIndex(line, notFoundText)
	if at < 0 || !namesContainer(line[at:], t) {
		return ""
	}
	r.held = r.held[:at]
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
