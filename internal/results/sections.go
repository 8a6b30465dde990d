package results

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
)

const (
	// minSection is what every log that is shown at all gets, in bytes, if it
	// has that much.
	minSection = 256
	// endNotes is more than what is said at the end of logs takes.
	endNotes = 384
)

// section is what logs holds of one instance of a container: a heading, the
// text, and notes about what is missing.
type section struct {
	log *instanceLog
	// place is where the section stands among all of the run's.
	place          int
	failed         bool
	heading, notes string
	// packed is what the log is compressed; nil where its text is written, readable
	// or not.
	packed *logpack.Log
	// want is the size of the whole log as it is written, limit what it may take.
	want, limit int
}

// fixed is what the section takes beside the text, the blank line included.
func (s *section) fixed() int {
	size := len(s.heading) + len(s.notes) + 1
	if s.packed != nil {
		size += memberBytes
	}
	return size
}

func (s *section) least() int { return min(s.want, minSection) }

// writeLogs returns the value of logs in at most budget bytes, and notes in
// the views how much of each log it kept.
func writeLogs(pods []*podView, missing missingPods, budget int) string {
	sections := importantSections(pods)
	for _, s := range sections {
		if s.log.text != nil {
			s.want = s.log.text.ReadableSize()
		}
	}
	budget -= endNotes
	shown := fitting(sections, budget)
	dropped := len(sections) - shown
	sections = sections[:shown]
	share(sections, budget)
	slices.SortFunc(sections, func(a, b *section) int { return cmp.Compare(a.place, b.place) })

	size := endNotes
	for _, s := range sections {
		size += s.fixed() + s.limit
	}
	text := make([]byte, 0, size)
	for _, s := range sections {
		text = s.append(text)
	}
	return string(appendEnd(text, dropped, missing))
}

// importantSections returns the sections of all logs, the most important first: those
// of earlier instances come after all others. Until a section is written its log counts
// as left out.
func importantSections(pods []*podView) []*section {
	var sections, earlier []*section
	for _, c := range byImportance(all(pods)) {
		for i, log := range c.instances() {
			s := newSection(c, log, c.position*(maxInstances+2)+i)
			if i < len(c.earlier) {
				earlier = append(earlier, s)
			} else {
				sections = append(sections, s)
			}
		}
	}
	return append(sections, earlier...)
}

func newSection(c *containerView, log *instanceLog, place int) *section {
	s := &section{log: log, place: place, failed: c.rank < 2, heading: heading(c, log), notes: notes(log)}
	if log.text != nil {
		log.excerpt = logtext.Excerpt{OmittedBytes: log.text.Seen(), OmittedLines: log.text.Lines()}
		log.exact = nil
	}
	return s
}

// heading names the container: "==> pod p, container c (node n, exit code 0) <==".
func heading(c *containerView, log *instanceLog) string {
	var facts []string
	if node := c.pod.Spec.NodeName; node != "" {
		facts = append(facts, "node "+line(node))
	}
	state, who := c.stateOf(log)
	switch {
	case state.Terminated != nil:
		facts = append(facts, fmt.Sprintf("exit code %d", state.Terminated.ExitCode))
	case state.Running != nil:
		facts = append(facts, "running")
	case state.Waiting != nil:
		facts = append(facts, "waiting")
	}
	title := fmt.Sprintf("==> pod %s, container %s%s", line(c.pod.Name), line(c.Name), who)
	if len(facts) > 0 {
		title += " (" + strings.Join(facts, ", ") + ")"
	}
	title += " <==\n"
	if c.gone > 0 && log == c.instances()[0] {
		title += fmt.Sprintf("[job-handler: no log of %s of this container]\n", logtext.Count(int64(c.gone), "earlier instance"))
	}
	return title
}

// notes says what is missing of a log, below its text.
func notes(log *instanceLog) string {
	c := log.record(0)
	why := colon(c.Reason, c.Message)
	empty := log.seen() == 0
	switch {
	case empty && (!c.Complete || c.Reason == ReasonNeverStarted):
		return fmt.Sprintf("[job-handler: no log: %s]\n", why)
	case !c.Complete:
		return fmt.Sprintf("[job-handler: this log is not complete: %s]\n", why)
	case empty && why != "":
		return fmt.Sprintf("[job-handler: the log is empty: %s]\n", why)
	case empty:
		return "[job-handler: the log is empty]\n"
	default:
		return ""
	}
}

// fitting returns how many of the sections, from the first, can be shown with
// their least text in budget bytes.
func fitting(sections []*section, budget int) int {
	for i, s := range sections {
		budget -= s.fixed() + s.least()
		if budget < 0 {
			return i
		}
	}
	return len(sections)
}

// share sets the limits of sections: their least first, then half of what
// remains among failed ones, then the rest among all, each time in fair
// shares.
func share(sections []*section, budget int) {
	var failed []*section
	for _, s := range sections {
		s.limit = s.least()
		budget -= s.fixed() + s.limit
		if s.failed {
			failed = append(failed, s)
		}
	}
	budget -= deal(failed, budget/2)
	deal(sections, budget)
}

// deal raises the limits of sections by fair shares of budget and returns how
// much of it they took.
func deal(sections []*section, budget int) int {
	sizes := make([]int, len(sections))
	for i, s := range sections {
		sizes[i] = s.want - s.limit
	}
	taken := 0
	for i, n := range logtext.FairShare(sizes, budget) {
		sections[i].limit += n
		taken += n
	}
	return taken
}

func (s *section) append(dst []byte) []byte {
	dst = appendNote(dst, s.heading)
	if s.log.text != nil {
		limits := logtext.Limits{Bytes: s.limit, TailFirst: s.failed}
		start := int64(len(dst))
		dst, s.log.excerpt = s.log.text.AppendReadable(dst, limits)
		if s.log.text.Whole() && bytes.HasPrefix(dst[start:], s.log.text.Head()) && s.log.seen() > 0 {
			s.log.exact = &ExactRecord{Offset: start}
		}
	}
	return append(dst, s.notes...)
}

// noPodNote stands where there was nothing to tell of.
const noPodNote = "[job-handler: the Job had no pod]\n"

// missingPods is how many pods are missing, and how many more may be.
type missingPods struct{ gone, perhaps int }

func (run *Run) missing() missingPods {
	return missingPods{gone: run.MissingPods, perhaps: run.PerhapsMissingPods}
}

// note says of how many pods there is no what, or may be none; "" if of none.
func (m missingPods) note(what string) string {
	note := ""
	if m.gone > 0 {
		note = fmt.Sprintf("[job-handler: no %s of %s that the Job's status counts: gone before it could be read]\n",
			what, logtext.Count(int64(m.gone), "pod"))
	}
	if m.perhaps > 0 {
		note += fmt.Sprintf("[job-handler: the %s of up to %s may be missing: the Job does not tell which pods its status counts]\n",
			what, logtext.Count(int64(m.perhaps), "pod"))
	}
	return note
}

// appendEnd says at the end of logs what is not there at all.
func appendEnd(dst []byte, dropped int, missing missingPods) []byte {
	if dropped > 0 {
		dst = appendNote(dst, fmt.Sprintf("[job-handler: %s more left out here]\n", logtext.Count(int64(dropped), "log")))
	}
	dst = appendNote(dst, missing.note("log"))
	if len(dst) == 0 {
		dst = append(dst, noPodNote...)
	}
	return dst
}

func appendNote(dst []byte, note string) []byte {
	if len(dst) > 0 && note != "" {
		dst = append(dst, '\n')
	}
	return append(dst, note...)
}
