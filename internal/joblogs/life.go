package joblogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// A request for a log names a container and whether its previous instance is meant.
// Which instance that is the kubelet finds out when the request arrives, and by then
// it may be a later one than the watch has told of: never an earlier one.

// Span is when an instance ran, by the clock of its node, to the second.
type Span struct {
	// Started is when it started, Finished when it ended or, of one that is about to be
	// ended, a time before that; zero where it is not known.
	Started, Finished time.Time
	// Next is when the next instance started; zero where it is not known.
	Next time.Time
}

// Identity tells whether a log is that of an instance.
type Identity int

// Values of an Identity.
const (
	// MayBe: the times do not tell. The first line is from the second in which the
	// instance ended, and the next one may have started in it; or there is no line.
	MayBe Identity = iota
	Same
	Other
)

const (
	// startSlack is how much earlier than its start a container's first line may be: the
	// runtime notes the start after it.
	startSlack = 2 * time.Second
	// nextSlack is the same, for the next instance: where the runtime takes longer than
	// that, and a request arrives just then, the log is taken for another one's.
	nextSlack = time.Second
	// lateLine is how much later than its end a container's first line may be: the
	// runtime stamps a line when it reads it.
	lateLine = 5 * time.Second
)

// Identify tells whether a log whose first line is from first, zero where it has none,
// is the one of the instance, rather than of a later one: those start after its end.
func (s Span) Identify(first time.Time) Identity {
	switch finished := s.Finished.Truncate(time.Second); {
	case first.IsZero() || s.Finished.IsZero():
		return MayBe
	case !s.Started.IsZero() && first.Before(s.Started.Truncate(time.Second).Add(-startSlack)):
		return Other
	case first.Before(finished), !s.Next.IsZero() && first.Before(s.Next.Truncate(time.Second).Add(-nextSlack)):
		return Same
	case s.ByItsEnd(first):
		return MayBe
	case !s.Next.IsZero():
		// The next instance starts at that time, or it has started.
		return Other
	case first.Before(finished.Add(time.Second + lateLine)):
		return MayBe
	default:
		return Other
	}
}

// ByItsEnd reports whether a first line, zero if there is none, is not later than the
// second in which the instance ended. One that is later is the instance's own only if the
// runtime was late to stamp it.
func (s Span) ByItsEnd(first time.Time) bool {
	return first.IsZero() || s.Finished.IsZero() || first.Before(s.Finished.Truncate(time.Second).Add(time.Second))
}

// LifeReading is what came of a reading of an instance's log.
type LifeReading struct {
	// Identity tells whether it is that of the instance. Of an Other one nothing, or no
	// more than a piece, was passed on.
	Identity Identity
	// First is when its first line was written; zero if it has none.
	First time.Time
	// Capture tells whether it was read whole, Redacted what was replaced in it.
	Capture  results.Capture
	Redacted redact.Counts
}

// errOtherLife ends the reading of the log of another instance.
var errOtherLife = errors.New("the log is that of another instance")

// ReadLife reads the log of an instance that has ended once, from its beginning to its
// end, and passes it on, redacted, to dst. No stream of Options.Streams is taken.
func (r *Reader) ReadLife(ctx context.Context, log Log, span Span, dst io.Writer) LifeReading {
	life := &lifeText{span: span, redactor: r.options.Redact.Writer(dst), tail: logtext.NewBuffer(verifyBuffer)}
	life.splitter.to = life
	err := r.stream(ctx, log.task, corev1.PodLogOptions{Timestamps: true}, life)
	if closed := life.redactor.Close(); err == nil {
		err = closed
	}
	first := life.first.time()
	reading := LifeReading{Identity: span.Identify(first), First: first, Redacted: life.redactor.Counts()}
	switch failure := errorIn(life.splitter.rest(), log.task); {
	case ctx.Err() != nil:
		reading.Capture = GivenUp()
	case reading.Identity == Other:
		reading.Capture = Replaced()
	case err != nil:
		reading.Capture = classify(err, log.task.pod)
	case failure != "":
		redacted, _ := r.options.Redact.String(failure)
		reading.Capture = classifyText(redacted, log.task)
	default:
		reading.Capture = r.verifyLife(ctx, log.task, life)
	}
	return reading
}

// Replaced returns the capture of an instance in place of whose log the kubelet has
// that of a later one.
func Replaced() results.Capture {
	return notRetryable(results.ReasonContainerGone, "the container was started again before the log of this instance could be read")
}

// notComparedAgain is the capture of a log that was read until its stream ended, when
// the kubelet had that of a later instance, or none.
var notComparedAgain = notRetryable(results.ReasonNotCompared,
	"the log was read until its stream ended, but the container was started again before that could be compared with the end of the log")

// verifyLife tells whether life is all of the log, by its end: timestamps tell that from
// the end of another instance with the same text.
func (r *Reader) verifyLife(ctx context.Context, t *task, life *lifeText) results.Capture {
	end := r.readEnd(ctx, t, verifyLines, true)
	capture := end.compare(life.tail, life.latest)
	switch {
	case ctx.Err() != nil:
		return GivenUp()
	case end.isRemoved(t), end.unread != nil && !capture.Retryable:
		return notComparedAgain
	case capture.Complete:
		return headFrom(t, life.tail, life.first.time())
	case capture.Reason == results.ReasonEndedEarly && life.span.Identify(end.first.time()) == Other:
		return notComparedAgain
	default:
		return capture
	}
}

// lifeText takes the log of an instance as it comes. It implements lines.
type lifeText struct {
	span     Span
	splitter splitter
	redactor *redact.Writer
	// tail is the end of the log.
	tail *logtext.Buffer
	// first is the timestamp of the first line, latest the greatest of all.
	first, latest stamp
	begun         bool
	err           error
}

// Write implements io.Writer. It fails once the log is known to be another one.
func (l *lifeText) Write(p []byte) (int, error) {
	_, _ = l.splitter.Write(p)
	if l.err != nil {
		return 0, fmt.Errorf("passing a log on: %w", l.err)
	}
	return len(p), nil
}

func (l *lifeText) begin(at stamp) {
	l.latest = max(l.latest, at)
	if l.begun {
		return
	}
	l.begun, l.first = true, at
	if l.span.Identify(at.time()) == Other {
		l.err = errOtherLife
	}
}

func (l *lifeText) text(p []byte) { l.pass(p) }

func (l *lifeText) end() { l.pass(newline) }

func (l *lifeText) pass(p []byte) {
	if l.err != nil {
		return
	}
	_, _ = l.tail.Write(p)
	_, l.err = l.redactor.Write(p)
}
