package capture

import (
	"context"
	"time"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// readLife reads the log of an instance that has ended. It is kept once it is known to
// be that one's.
func (c *Captures) readLife(ctx, turn context.Context, l *followedLog) {
	defer c.end(l)
	defer c.giveTurn(l)
	l.hurry()
	for try, pause := 1, firstPause; ; try, pause = try+1, min(2*pause, longestPauseRunning) {
		err := c.takeTurn(ctx, turn, l)
		if try == 1 {
			c.metrics.Waiting(-1)
		}
		if err != nil {
			c.keepLife(l, nil, nil, results.Capture{Reason: results.ReasonCaptureLimit, Message: noStream})
			return
		}
		again := c.tryLife(ctx, l)
		c.giveTurn(l)
		if !again || try == lifeTries || !c.pauseLife(ctx, pause) {
			return
		}
	}
}

func (c *Captures) pauseLife(ctx context.Context, pause time.Duration) bool {
	select {
	case <-c.clock.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// tryLife reads the log once, and reports whether to read it again.
func (c *Captures) tryLife(ctx context.Context, l *followedLog) (again bool) {
	now := c.lifeNow(l)
	if !now.log.Readable() {
		c.keepLife(l, nil, nil, joblogs.Replaced())
		return false
	}
	text := c.memory.open(l.namespace)
	reading := c.reader.ReadLife(ctx, now.log, now.span, heard{l, text})
	text.end()
	identity := reading.Identity
	if identity == joblogs.MayBe && reading.Capture.Complete {
		// It waits without a stream.
		c.giveTurn(l)
		identity, again = c.awaitIdentity(ctx, l, now.log.Previous)
	}
	if identity != joblogs.Same {
		text.drop()
		capture := reading.Capture
		if capture.Complete || !capture.Curable {
			capture = joblogs.Replaced()
		}
		c.keepLife(l, nil, nil, capture)
		return again || capture.Curable || identity == joblogs.Other && c.lifeNow(l).log.Previous != now.log.Previous
	}
	c.keepLife(l, text, reading.Redacted, reading.Capture)
	return reading.Capture.Curable
}

// awaitIdentity tells whether a log that was read, and may be that of a later instance,
// is the one of l, or is to be read again.
func (c *Captures) awaitIdentity(ctx context.Context, l *followedLog, previous bool) (identity joblogs.Identity, again bool) {
	settled := c.clock.After(settles)
	for {
		now := c.lifeNow(l)
		switch {
		case !now.log.Readable():
			return joblogs.Other, false
		case now.log.Previous != previous:
			return joblogs.MayBe, true
		case now.final:
			return joblogs.Same, false
		}
		select {
		case <-now.news:
		case <-settled:
			return joblogs.Same, false
		case <-ctx.Done():
			return joblogs.MayBe, false
		}
	}
}

// lifeNow is what is known of an instance at a moment.
type lifeNow struct {
	// log is how to ask for its log.
	log  joblogs.Log
	span joblogs.Span
	// final is true once nothing of its pod changes any more, and news is closed when
	// something has.
	final bool
	news  <-chan struct{}
}

func (c *Captures) lifeNow(l *followedLog) lifeNow {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := l.pod
	now := lifeNow{log: l.latest, span: l.span, final: isFinal(p.object) || p.gone && allEnded(p.object), news: l.news}
	if p.gone && !now.final {
		// Nobody tells of its containers any more.
		now.log = joblogs.Log{}
	}
	return now
}

// disown drops what was followed of a container that was to be removed and started
// again, unless it is known to be of the instance before that.
func (l *followedLog) disown() {
	if !l.ofLife || l.following == nil || l.state != done || l.text == nil ||
		l.span.Identify(l.following.From()) == joblogs.Same {
		return
	}
	l.text.drop()
	l.text, l.redacted, l.capture = nil, nil, joblogs.Replaced()
}

// keepLife keeps what was read of an instance, rather than what was read of it before,
// if that was less. Text may be nil.
func (c *Captures) keepLife(l *followedLog, text *text, redacted redact.Counts, capture results.Capture) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !l.active() || text.seen() < l.text.seen() {
		text.drop()
		return
	}
	l.state = following
	l.text.drop()
	l.text, l.redacted, l.capture = text, redacted, capture
}
