package release

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// report prints whole lines, whoever prints at the same time.
type report struct {
	mu     sync.Mutex
	out    io.Writer
	dryRun bool
}

func (r *report) line(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format+"\n", args...)
}

// released says what was taken back from one object.
func (r *report) released(word string, key client.ObjectKey, done []string) {
	r.line("%s %s: %s%s", word, shownKey(key), strings.Join(done, ", "), r.suffix())
}

func (r *report) suffix() string {
	if r.dryRun {
		return " (dry run)"
	}
	return ""
}

// shownKey leaves out the namespace of what has none.
func shownKey(key client.ObjectKey) string {
	return strings.TrimPrefix(key.String(), "/")
}

// summary is the last line.
func (r *report) summary(namespaces, jobs counts) {
	looked := fmt.Sprintf("checked %s and %s", count(namespaces.seen, "Namespace"), count(jobs.seen, "Job"))
	failed := namespaces.failed + jobs.failed
	if namespaces.changed+jobs.changed+failed == 0 {
		r.line("Nothing to release: %s%s", looked, r.suffix())
		return
	}
	text := fmt.Sprintf("Released %s and %s: %s", count(namespaces.changed, "Namespace"), count(jobs.changed, "Job"), looked)
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	r.line("%s%s", text, r.suffix())
}

func count(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}
