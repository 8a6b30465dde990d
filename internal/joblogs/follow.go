package joblogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// Following is the log of one instance of a container that is followed while it
// is being written, over as many streams as that takes: where one breaks off, the
// next goes on at the very byte. It is for one goroutine, but for UpTo.
type Following struct {
	reader   *Reader
	redactor *redact.Writer
	resumed  *resumed
	// tail is the end of the log as it came, with which it is found out whether
	// that was all.
	tail *logtext.Buffer
	// opened is when the first stream was opened.
	opened time.Time
	// behind is the timestamp for which a stream was given up last that was quiet.
	behind stamp
	// empty counts how often in a row nothing was there to compare the end with.
	empty int
	// uncompared is true if the last stream that brought something ended by itself,
	// and the end of the log was not read again to compare.
	uncompared bool
	// brought is true if the last stream brought something new.
	brought bool
	// gone is true if the last Confirm found that the log was removed.
	gone       bool
	upTo, from atomic.Int64
}

// looksAtEmpty is how often in a row nothing has to be left of a log for it to
// count as rotated.
const looksAtEmpty = 3

// NewFollowing returns a Following that passes the log on, redacted, to dst.
func (r *Reader) NewFollowing(dst io.Writer) *Following {
	return &Following{
		reader: r, redactor: r.options.Redact.Writer(dst), resumed: newResumed(), tail: logtext.NewBuffer(verifyBuffer),
	}
}

// Stream follows a Readable log, from its beginning the first time, else from
// where the last stream ended, until it ends, ctx ends or the destination fails.
// log must be the same instance every time, but may tell of it as of the previous
// one meanwhile. ended is true if the stream ended by itself: then Confirm tells
// whether the log did. Else the capture tells what went wrong; one that is Retryable
// may go well with another stream.
//
// No stream of Options.Streams is taken, so that it waits for nobody, and a
// container that is silent is waited for.
func (f *Following) Stream(ctx context.Context, log Log) (ended bool, capture results.Capture) {
	if f.opened.IsZero() {
		f.opened = f.reader.options.Clock.Now()
	}
	s, before := &followedStream{following: f}, f.resumed.size
	s.splitter.to = f.resumed
	err := f.copyStream(ctx, log.task, s)
	failure := ""
	if err == nil {
		failure = f.failure(s, log.task)
	}
	if err == nil && (failure == "" || removed(failure, log.task)) {
		f.resumed.ended()
	} else {
		f.resumed.brokeOff()
	}
	f.resumed.atEnd = err == nil && failure == "" || errors.Is(err, errBehind)
	if passed := f.pass(); err == nil {
		err = passed
	}
	f.brought = f.resumed.size > before
	ended, capture = f.judge(ctx, log.task, failure, err)
	f.uncompared = ended || f.uncompared && !f.brought
	return ended, capture
}

// copyStream opens a stream that starts where the last one ended, or a little
// before, and copies it.
func (f *Following) copyStream(ctx context.Context, t *task, s *followedStream) error {
	opts := &corev1.PodLogOptions{Container: t.container, Previous: t.previous, Follow: true, Timestamps: true}
	if since := f.resumed.since(); !since.IsZero() {
		opts.SinceTime = &metav1.Time{Time: since}
	}
	f.resumed.opened()
	ctx, quiet := f.watchQuiet(ctx, t)
	defer quiet.stop()
	s.quiet = quiet
	err := f.reader.copyLog(ctx, t, opts, s)
	if errors.Is(context.Cause(ctx), errBehind) {
		return errBehind
	}
	return err
}

// failure returns the kubelet's error at the end of a stream, "" if there is none.
// Such an error has no timestamp, or follows upon the last line that has no end.
func (f *Following) failure(s *followedStream, t *task) string {
	if failure := errorIn(s.splitter.rest(), t); failure != "" {
		return failure
	}
	return f.resumed.dropError(t)
}

// judge tells how a stream ended.
func (f *Following) judge(ctx context.Context, t *task, failure string, err error) (bool, results.Capture) {
	switch {
	case ctx.Err() != nil:
		return false, GivenUp()
	case errors.Is(err, errBehind), errors.Is(err, errBack):
		return false, retryable(results.ReasonEndedEarly, err.Error())
	case err != nil:
		return false, classify(err, t.pod)
	case removed(failure, t):
		return false, f.complete(t)
	case failure != "":
		redacted, _ := f.reader.options.Redact.String(failure)
		return false, classifyText(redacted, t)
	default:
		return true, results.Capture{}
	}
}

// Confirm tells whether the log ended with what the last stream brought, as far as
// the kubelet still has it to compare. Whether the container has ended is the
// caller's to find out: more may come while it runs.
func (f *Following) Confirm(ctx context.Context, log Log) results.Capture {
	end := f.reader.readEnd(ctx, log.task, verifyLines, true)
	f.gone = ctx.Err() == nil && end.isRemoved(log.task)
	if ctx.Err() != nil {
		f.uncompared = true
		return GivenUp()
	}
	capture := end.compare(f.tail, f.resumed.latest)
	if f.gone || capture.Complete || f.rotatedAtEnd(capture, end.kept) {
		f.uncompared = false
		return f.complete(log.task)
	}
	f.uncompared = capture.Reason != results.ReasonEndedEarly || end.kept.Seen() == 0
	return capture
}

// IsGone reports whether the last Confirm found that the log was removed, with its
// container or its pod.
func (f *Following) IsGone() bool { return f.gone }

// Brought reports whether the last stream brought anything new.
func (f *Following) Brought() bool { return f.brought }

// GivenUp returns the capture of a log of which more may have come.
func GivenUp() results.Capture {
	return notRetryable(results.ReasonStillRunning, "the manager stopped following the log before it ended")
}

// NotCompared returns the capture of a log that was ReadToEnd, of a container that
// has ended.
func NotCompared() results.Capture {
	return notRetryable(results.ReasonNotCompared, "the log was read to its end, with lines from after the signal to end, but could not be compared with what the node kept")
}

// ReadToEnd reports whether what was read of the log is all that its last stream
// had, which ended by itself after a line later than since, though the end could not
// be compared with what the kubelet keeps. Since is by another clock than the lines.
func (f *Following) ReadToEnd(since time.Time) bool {
	return f.uncompared && !since.IsZero() && f.UpTo().After(since)
}

// rotatedAtEnd reports whether the log, of which nothing can be read any more, was
// rotated behind its last line. To be sure it is looked at more than once.
func (f *Following) rotatedAtEnd(capture results.Capture, again *logtext.Buffer) bool {
	if capture.Reason != results.ReasonEndedEarly || again.Seen() > 0 {
		f.empty = 0
		return false
	}
	f.empty++
	return f.empty >= looksAtEmpty
}

// complete returns the capture of a log of which the end was seen: whether the
// rest was too.
func (f *Following) complete(t *task) results.Capture {
	if gap := f.resumed.gap; gap.to > 0 {
		return notRetryable(results.ReasonRotatedGap, fmt.Sprintf(
			"the log was rotated while it could not be read: lines from between %s and %s may be missing",
			gap.from.time().Format(time.RFC3339Nano), gap.to.time().Format(time.RFC3339Nano)))
	}
	// What it lost it lost before it was followed.
	first := f.resumed.first.time()
	if f.opened.Before(first) {
		first = f.opened
	}
	return headFrom(f.reader.endedNow(t), f.tail, first)
}

// UpTo returns when the latest line was written that was passed on, by the clock
// of its node; zero if none was. It may be called at any time from anywhere.
func (f *Following) UpTo() time.Time { return stamp(f.upTo.Load()).time() }

// From returns when the line was written that was passed on first; zero if none was. It
// may be called at any time from anywhere.
func (f *Following) From() time.Time { return stamp(f.from.Load()).time() }

// Begun reports whether anything of the log was passed on.
func (f *Following) Begun() bool { return f.resumed.begun() }

// Close passes on what was held back, and returns what was replaced in the log.
func (f *Following) Close() (redact.Counts, error) {
	f.resumed.closed()
	err := errors.Join(f.pass(), f.redactor.Close())
	return f.redactor.Counts(), err
}

// Redacted returns what was replaced in the log so far.
func (f *Following) Redacted() redact.Counts { return f.redactor.Counts() }

// pass passes on what has been put together.
func (f *Following) pass() error {
	r := f.resumed
	if len(r.batch) == 0 {
		return nil
	}
	_, _ = f.tail.Write(r.batch)
	_, err := f.redactor.Write(r.batch)
	r.batch = r.batch[:0]
	f.upTo.Store(int64(r.latest))
	f.from.Store(int64(r.first))
	if err != nil {
		return fmt.Errorf("keeping a log: %w", err)
	}
	return nil
}

// errBack ends a stream that went back to before what is remembered.
var errBack = errors.New("the timestamps of the log went back")

// followedStream takes one stream.
type followedStream struct {
	following *Following
	splitter  splitter
	quiet     *quiet
}

// Write implements io.Writer.
func (s *followedStream) Write(p []byte) (int, error) {
	f := s.following
	n, _ := s.splitter.Write(p)
	if len(f.resumed.batch) > 0 {
		s.quiet.heard()
		if err := f.pass(); err != nil {
			return 0, err
		}
	}
	if f.resumed.back > 0 {
		return 0, errBack
	}
	return n, nil
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
