package results

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logtext"
)

const (
	// maxSummary bounds what a Summary is written as, in bytes.
	maxSummary = 200
	// maxCauseMessage bounds the message of one cause.
	maxCauseMessage = 80
)

// Summary tells for a whole run whether its logs were captured.
type Summary struct {
	// Complete is true if no log is missing or shortened.
	Complete bool
	// Why names the causes, those that could heal first, each with how many
	// logs it is about; "" if Complete. One line of readable text, which quotes
	// nobody: no log, no message of a container, no server.
	Why string
	// Retryable is true if another attempt later might find more.
	Retryable bool
}

// String returns the value of api.CaptureAnnotation: api.CaptureComplete, or
// api.CaptureIncompletePrefix and why, at most 200 bytes of one line.
func (s Summary) String() string {
	if s.Complete {
		return api.CaptureComplete
	}
	return api.CaptureIncompletePrefix + s.Why
}

// Summarize tells what Build(run) would say in Content.Capture about what was
// read, without building: what will be shortened to fit is not known yet. It
// is for deciding whether to read again.
func Summarize(run Run) Summary {
	pods := view(&run)
	for _, c := range all(pods) {
		for _, l := range c.instances() {
			if l.text != nil {
				l.excerpt = logtext.Excerpt{HeadBytes: l.text.Seen()}
			}
		}
	}
	return summarize(&run, pods)
}

// cause is one reason for which logs of the run are missing or shortened.
type cause struct {
	reason    string
	retryable bool
	// count says how many of what noun names.
	count int
	noun  string
	// first says where and what, for the first of them; may be "".
	first string
}

// causes collects causes by reason, in the order in which they come up.
type causes []*cause

func (cs *causes) add(one cause) {
	for _, c := range *cs {
		if c.reason == one.reason && c.noun == one.noun {
			c.count += one.count
			c.retryable = c.retryable || one.retryable
			return
		}
	}
	*cs = append(*cs, &one)
}

// summarize tells whether what is stored of pods is complete.
func summarize(run *Run, pods []*podView) Summary {
	var found causes
	if run.MissingPods > 0 {
		found.add(cause{reason: ReasonPodGone, count: run.MissingPods, noun: "pod"})
	}
	if run.PerhapsMissingPods > 0 {
		found.add(cause{reason: ReasonPodMayBeMissing, count: run.PerhapsMissingPods, noun: "pod"})
	}
	for _, c := range all(pods) {
		where := fmt.Sprintf("pod %s, container %s", line(c.pod.Name), line(c.Name))
		for _, l := range c.instances() {
			if stored := l.stored(); !stored.Complete {
				found.add(cause{
					reason: stored.Reason, retryable: l.capture.mayHeal(),
					count: 1, noun: "log", first: colon(where, ownWords(stored)),
				})
			}
		}
		if c.goneRetryable || c.gone > 0 && run.LogMode != api.LogModeStatus {
			found.add(cause{reason: ReasonInstancesGone, retryable: c.goneRetryable, count: c.gone, noun: "log", first: where})
		}
	}
	return found.summary()
}

// inOwnWords are the reasons whose message quotes nobody. Others quote a server,
// the kubelet or the state of a container. A kubelet's error comes in place of a
// log, and a program that knows its container's ID can imitate it; so the results
// have such messages, as they have the logs, and a Summary, which goes into
// Events, an annotation of the Job and the manager's log, does not.
var inOwnWords = sets.New(
	ReasonStalled, ReasonEndedEarly, ReasonStillRunning, ReasonNotReady, ReasonNotRead, ReasonNotFollowed,
	ReasonRotatedHead, ReasonRotatedGap, ReasonEndNotSeen, ReasonNotCompared, ReasonCaptureLimit, ReasonShortenedToFit, ReasonNamespaceBudget,
	ReasonClusterBudget,
)

// ownWords returns the message of c on one line, "" where it quotes somebody else.
func ownWords(c CaptureRecord) string {
	if !inOwnWords.Has(c.Reason) {
		return ""
	}
	return logtext.Line(c.Message, maxCauseMessage)
}

// colon joins what there is of a and b.
func colon(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ": " + b
}

func (cs causes) summary() Summary {
	if len(cs) == 0 {
		return Summary{Complete: true}
	}
	slices.SortStableFunc(cs, func(a, b *cause) int {
		switch {
		case a.retryable == b.retryable:
			return 0
		case a.retryable:
			return -1
		default:
			return 1
		}
	})
	s := Summary{Retryable: cs[0].retryable}
	texts := make([]string, 0, len(cs))
	for _, c := range cs {
		texts = append(texts, c.String())
	}
	s.Why = ellipsis(strings.Join(texts, "; "), maxSummary-len(api.CaptureIncompletePrefix))
	return s
}

// String returns "Reason (where: message)", "Reason (3 logs, first where:
// message)" or "Reason (3 pods)".
func (c *cause) String() string {
	about := c.first
	if count := logtext.Count(int64(c.count), c.noun); about == "" {
		about = count
	} else if c.count > 1 {
		about = count + ", first " + about
	}
	return fmt.Sprintf("%s (%s)", c.reason, about)
}

// ellipsis returns text in at most limit bytes, with "..." where it was cut.
func ellipsis(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("...")], "") + "..."
}
