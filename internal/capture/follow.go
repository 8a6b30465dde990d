package capture

import (
	"context"
	"maps"
	"time"

	"k8s.io/utils/clock"

	"github.com/job-handler/job-handler/internal/fairshare"
	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// The pauses before a log that broke off is followed again.
const (
	firstPause = 100 * time.Millisecond
	// Of a pod that goes; its kubelet may be back for a moment only.
	longestPause = time.Second
	// longestPauseRunning is the longest for a container that may run for long.
	longestPauseRunning = 20 * time.Second
)

// The messages in the captures of logs that found no stream, or lost it to others.
const (
	noStream = "too many logs of deleted pods were followed at once"
	parked   = "its stream was closed in favor of another log, and not opened again in time"
)

// tooMany is the message in the capture of a log that was to be followed and is
// for others to read, NotFollowed once it was read.
const (
	tooMany     = "the manager already followed the maximum number of logs"
	NotFollowed = "read at the end: " + tooMany
)

// followedLog is one log of a pod. Its fields are guarded by Captures.mu, but
// for those that are set before it is followed.
type followedLog struct {
	pod                 *pod
	namespace           string
	container, instance string
	previous            bool
	cancel              context.CancelFunc
	// hurry has the log wait no longer for its turn among those of running pods.
	hurry context.CancelFunc
	// urge closes urgent: the log is to be read now, before others of its namespace.
	urge   func()
	urgent chan struct{}
	// breakOff has the stream that is open be followed by another one.
	breakOff func()

	// latest is the log as the pod tells of it now; not Readable once its
	// container has been started so often that it cannot be read any more. news
	// is closed when that changes, and when until is set first.
	latest joblogs.Log
	news   chan struct{}
	// until is when expire looks at it; zero: that is not known yet. before is how
	// much of it was there stillComing before that. timers are what is to happen
	// until then.
	until  time.Time
	before int64
	timers []clock.Timer

	state state
	// queued is true once it had to wait for its turn, parked while it waits for
	// another stream since it gave one up.
	queued, parked bool
	// readToEnd is true if its last stream ended by itself, with words later than the
	// signal to end, and could not be compared.
	readToEnd bool
	// text is what was read.
	text     *text
	redacted redact.Counts
	capture  results.Capture
	// following is how far it was read.
	following *joblogs.Following
	// ofLife is true for the log of an instance after which there may be another one, so
	// that what is read may be that one's; span is what tells. lifeOf is which one it is.
	ofLife bool
	span   joblogs.Span
	// sure is true once what was read is known to be of this instance, and not of a later
	// one; first is when its first line was written, zero if it has none.
	sure  bool
	first time.Time
	lifeOf
}

// state is how far following a log has come.
type state int

const (
	waiting state = iota
	following
	// fellBack: it did not get its turn while its container ran, and is for others
	// to read.
	fellBack
	// done: nobody follows it any more.
	done
)

func (l *followedLog) active() bool { return l.state == waiting || l.state == following }

// followAll follows the logs of p that are not followed yet, and tells the others
// of what is new. Called with c.mu held.
func (c *Captures) followAll(ctx context.Context, p *pod) {
	if c.stopped {
		return
	}
	logs := joblogs.LogsOf(deleted(p.object))
	for _, l := range p.logs {
		l.tell(logs)
	}
	for _, log := range logs {
		if !log.Readable() || p.log(log) != nil {
			continue
		}
		c.launch(ctx, p, log, follow)
	}
	p.limitAll()
}

// launch has the log be read by read.
func (c *Captures) launch(
	ctx context.Context, p *pod, log joblogs.Log, read func(ctx, turn context.Context, w *worker),
) *followedLog {
	following, turn, l := newFollowedLog(ctx, p, log)
	p.logs = append(p.logs, l)
	if p.leaving() || !restartingSince(p.object).IsZero() {
		// Before it looks for a stream, so that it takes none of running pods.
		l.hurry()
	}
	c.metrics.Waiting(1)
	p.changed()
	c.following.Go(func() {
		read(following, turn, &worker{c: c, log: l})
		c.followed(ctx, p, l)
	})
	return l
}

// tell notes what is known of the log now.
func (l *followedLog) tell(logs []joblogs.Log) {
	now := joblogs.Log{}
	for _, log := range logs {
		if log.Readable() && l.is(log) {
			now = log
		}
	}
	if l.latest.Ended == now.Ended && l.latest.Previous == now.Previous && l.latest.Readable() == now.Readable() {
		return
	}
	l.latest = now
	if now.Ended {
		l.urge()
	}
	l.wake()
}

// wake has who waits for news of the log look again.
func (l *followedLog) wake() {
	close(l.news)
	l.news = make(chan struct{})
}

// fallBack leaves the log for others to read.
func (l *followedLog) fallBack() {
	l.state = fellBack
	l.cancel()
	l.pod.of.metrics.FellBack()
}

// worker follows or reads one log, in a goroutine of its own. What it shares with others
// is in the log, which Captures.mu guards.
type worker struct {
	c   *Captures
	log *followedLog
	// lease is the stream that may be open, nil while none may.
	lease *fairshare.Lease
	// ending is what the last stream left open.
	ending ending
	// nodeGone is since when the Node object is gone; zero: it is not known to be.
	nodeGone time.Time
}

// follow follows one log to its end, over as many streams as that takes.
func follow(ctx, turn context.Context, w *worker) {
	defer w.end()
	defer w.giveTurn()
	err := w.takeTurn(ctx, turn)
	w.c.metrics.Waiting(-1)
	if err != nil {
		w.keep(nil, results.Capture{Reason: results.ReasonCaptureLimit, Message: noStream})
		return
	}
	f := w.open()
	if f == nil {
		return
	}
	for pause := firstPause; w.stream(ctx, f); {
		if w.ending.atOnce {
			continue
		}
		if !w.pause(ctx, turn, pause) {
			break
		}
		pause = min(2*pause, longestPauseRunning)
		w.c.metrics.Reconnected()
	}
	w.finish(f)
}

// stream follows the log with one stream, and reports whether another one may
// bring more.
func (w *worker) stream(ctx context.Context, f *joblogs.Following) bool {
	log, _ := w.look()
	if !log.Readable() {
		w.keep(f, unseen)
		return false
	}
	opened := w.c.clock.Now()
	one, stop := w.interruptible(ctx)
	ended, capture := f.Stream(one, log)
	interrupted := one.Err() != nil && ctx.Err() == nil
	stop()
	before := w.ending
	w.ending = ending{}
	switch {
	case interrupted && !ended:
		return true
	case ended:
		capture = w.compare(ctx, f, before, w.c.clock.Since(opened))
	default:
		capture = w.compareGone(ctx, f, before, capture)
	}
	if w.ending.open {
		return true
	}
	w.keep(f, capture)
	again := w.awaitsNode(capture, w.c.clock.Now())
	return again || capture.Retryable
}

// awaitsNode reports whether a log that could not be read is worth another stream
// because its Node object is gone, and may register again.
func (w *worker) awaitsNode(capture results.Capture, now time.Time) bool {
	if capture.Reason != results.ReasonNodeGone {
		w.nodeGone = time.Time{}
		return false
	}
	if w.nodeGone.IsZero() {
		w.nodeGone = now
	}
	return now.Sub(w.nodeGone) < results.NodeGrace
}

// look returns the log as it is known now. If its end is still to be told and waited
// for, news is closed when that changes; else it is nil.
func (w *worker) look() (log joblogs.Log, news <-chan struct{}) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.log.latest.Ended || !w.log.latest.Readable() || !w.log.until.IsZero() {
		return w.log.latest, nil
	}
	return w.log.latest, w.log.news
}

// pause waits before another stream is opened, shorter where the log will not be
// there for long, and for longer where others are to be followed. It reports false
// if none is to be opened.
func (w *worker) pause(ctx, turn context.Context, pause time.Duration) bool {
	w.c.mu.Lock()
	if !w.log.until.IsZero() {
		pause = min(pause, longestPause)
	}
	w.c.mu.Unlock()
	select {
	case <-ctx.Done():
		return false
	case <-w.lease.CalledBack():
		return w.park(ctx, turn)
	case <-w.c.clock.After(pause):
		return true
	}
}

func (w *worker) end() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.log.active() {
		w.log.state = done
	}
	w.log.cancel()
	w.log.stopTimers()
}

// open begins a log, nil if it was taken or dropped meanwhile.
func (w *worker) open() *joblogs.Following {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if !w.log.active() {
		return nil
	}
	w.log.state = following
	w.log.text = w.c.memory.open(w.log.namespace)
	w.log.following = w.c.reader.NewFollowing(heard{w, w.log.text})
	if w.log.latest.Ended {
		w.log.limit(catchUp)
	}
	return w.log.following
}

// keep notes how a stream ended. A log that was taken or dropped meanwhile stays as
// it is.
func (w *worker) keep(f *joblogs.Following, capture results.Capture) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if !w.log.active() {
		return
	}
	if f != nil {
		w.log.redacted = maps.Clone(f.Redacted())
	}
	if capture.Reason == results.ReasonStillRunning && w.log.capture.Reason != "" {
		// What went wrong all the time tells more.
		capture = w.log.capture
	}
	w.log.capture = capture
}

// finish notes that nothing more comes.
func (w *worker) finish(f *joblogs.Following) {
	redacted, _ := f.Close()
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.log.active() {
		w.log.redacted = redacted
		w.log.readToEnd = f.ReadToEnd(signalled(w.log.pod.object))
		if !w.log.capture.Complete && w.log.capture.Reason == "" {
			w.log.capture = joblogs.GivenUp()
		}
	}
	w.log.text.end()
}
