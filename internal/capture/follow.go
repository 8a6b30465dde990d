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
	parked   = "its stream was closed for another log to be followed, and no other one was opened in time"
)

// tooMany is the message in the capture of a log that was to be followed and is
// for others to read, NotFollowed once it was read.
const (
	tooMany     = "as many logs were being followed as the manager follows at once"
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
	// lease is the stream that may be open, nil while none may. Only the goroutine that
	// follows the log uses it.
	lease *fairshare.Lease

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
	// ending is what its last stream left open. Only the goroutine that follows the log
	// uses it.
	ending ending
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
	// nodeGone is since when its Node object is gone; zero: it is not known to be.
	// Only who follows the log asks.
	nodeGone time.Time
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
		c.launch(ctx, p, log, c.follow)
	}
	c.limitAll(p)
}

// launch has the log be read by read.
func (c *Captures) launch(
	ctx context.Context, p *pod, log joblogs.Log, read func(ctx, turn context.Context, l *followedLog),
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
		read(following, turn, l)
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
func (c *Captures) fallBack(l *followedLog) {
	l.state = fellBack
	l.cancel()
	c.metrics.FellBack()
}

// follow follows one log to its end, over as many streams as that takes.
func (c *Captures) follow(ctx, turn context.Context, l *followedLog) {
	defer c.end(l)
	defer c.giveTurn(l)
	err := c.takeTurn(ctx, turn, l)
	c.metrics.Waiting(-1)
	if err != nil {
		c.keep(l, nil, results.Capture{Reason: results.ReasonCaptureLimit, Message: noStream})
		return
	}
	f := c.open(l)
	if f == nil {
		return
	}
	for pause := firstPause; c.stream(ctx, l, f); {
		if l.ending.atOnce {
			continue
		}
		if !c.pause(ctx, turn, l, pause) {
			break
		}
		pause = min(2*pause, longestPauseRunning)
		c.metrics.Reconnected()
	}
	c.finish(l, f)
}

// stream follows the log with one stream, and reports whether another one may
// bring more.
func (c *Captures) stream(ctx context.Context, l *followedLog, f *joblogs.Following) bool {
	log, _ := c.look(l)
	if !log.Readable() {
		c.keep(l, f, unseen)
		return false
	}
	opened := c.clock.Now()
	one, stop := c.interruptible(ctx, l)
	ended, capture := f.Stream(one, log)
	interrupted := one.Err() != nil && ctx.Err() == nil
	stop()
	before := l.ending
	l.ending = ending{}
	switch {
	case interrupted && !ended:
		return true
	case ended:
		capture = c.compare(ctx, l, f, before, c.clock.Since(opened))
	default:
		capture = c.compareGone(ctx, l, f, before, capture)
	}
	if l.ending.open {
		return true
	}
	c.keep(l, f, capture)
	again := l.awaitsNode(capture, c.clock.Now())
	return again || capture.Curable
}

// awaitsNode reports whether a log that could not be read is worth another stream
// because its Node object is gone, and may register again.
func (l *followedLog) awaitsNode(capture results.Capture, now time.Time) bool {
	if capture.Reason != results.ReasonNodeGone {
		l.nodeGone = time.Time{}
		return false
	}
	if l.nodeGone.IsZero() {
		l.nodeGone = now
	}
	return now.Sub(l.nodeGone) < results.NodeGrace
}

// look returns the log as it is known now. If its end is still to be told and waited
// for, news is closed when that changes; else it is nil.
func (c *Captures) look(l *followedLog) (log joblogs.Log, news <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.latest.Ended || !l.latest.Readable() || !l.until.IsZero() {
		return l.latest, nil
	}
	return l.latest, l.news
}

// pause waits before another stream is opened, shorter where the log will not be
// there for long, and for longer where others are to be followed. It reports false
// if none is to be opened.
func (c *Captures) pause(ctx, turn context.Context, l *followedLog, pause time.Duration) bool {
	c.mu.Lock()
	if !l.until.IsZero() {
		pause = min(pause, longestPause)
	}
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return false
	case <-l.lease.CalledBack():
		return c.park(ctx, turn, l)
	case <-c.clock.After(pause):
		return true
	}
}

func (c *Captures) end(l *followedLog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.active() {
		l.state = done
	}
	l.cancel()
	l.stopTimers()
}

// open begins a log, nil if it was taken or dropped meanwhile.
func (c *Captures) open(l *followedLog) *joblogs.Following {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !l.active() {
		return nil
	}
	l.state = following
	l.text = c.memory.open(l.namespace)
	l.following = c.reader.NewFollowing(heard{l, l.text})
	if l.latest.Ended {
		c.limit(l, catchUp)
	}
	return l.following
}

// keep notes how a stream ended. A log that was taken or dropped meanwhile stays as
// it is.
func (c *Captures) keep(l *followedLog, f *joblogs.Following, capture results.Capture) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !l.active() {
		return
	}
	if f != nil {
		l.redacted = maps.Clone(f.Redacted())
	}
	if capture.Reason == results.ReasonStillRunning && l.capture.Reason != "" {
		// What went wrong all the time tells more.
		capture = l.capture
	}
	l.capture = capture
}

// finish notes that nothing more comes.
func (c *Captures) finish(l *followedLog, f *joblogs.Following) {
	redacted, _ := f.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.active() {
		l.redacted = redacted
		l.readToEnd = f.ReadToEnd(signalled(l.pod.object))
		if !l.capture.Complete && l.capture.Reason == "" {
			l.capture = joblogs.GivenUp()
		}
	}
	l.text.end()
}
