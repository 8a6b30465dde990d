package capture

import (
	"context"
	"time"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// readLife reads the log of an instance that has ended. It is kept once it is known to
// be that one's.
func (c *Captures) readLife(ctx, turn context.Context, l *followedLog) {
	defer c.end(l)
	defer c.giveTurn(l)
	l.hurry()
	for try, pause := 1, firstPause; ; try, pause = try+1, min(4*pause, longestPauseRunning) {
		err := c.takeTurn(ctx, turn, l)
		if try == 1 {
			c.metrics.Waiting(-1)
		}
		if err != nil {
			c.keepLife(l, lifeText{LifeReading: joblogs.LifeReading{
				Capture: results.Capture{Reason: results.ReasonCaptureLimit, Message: noStream},
			}})
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

// lifeText is what was read of an instance's log, and may be that of a later one.
type lifeText struct {
	joblogs.LifeReading
	text *text
	// previous is whether the previous instance was asked for.
	previous bool
}

// nothing returns the reading without its text, as it is for one of another instance.
func (t lifeText) nothing() lifeText {
	t.text.drop()
	t.text, t.Redacted = nil, nil
	if t.Capture.Complete || !t.Capture.Curable {
		t.Capture = joblogs.Replaced()
	}
	return t
}

// tryLife reads the log once, and reports whether to read it again.
func (c *Captures) tryLife(ctx context.Context, l *followedLog) (again bool) {
	now := c.lifeNow(l)
	if !now.log.Readable() {
		c.keepLife(l, lifeText{LifeReading: joblogs.LifeReading{Capture: joblogs.Replaced()}})
		return false
	}
	got := c.readOnce(ctx, l, now)
	if got.Identity == joblogs.MayBe && got.Capture.Complete {
		// It waits without a stream.
		c.giveTurn(l)
		got = c.identify(ctx, l, got)
	}
	if got.Identity == joblogs.Same {
		c.keepLife(l, got)
		return got.Capture.Curable
	}
	got = got.nothing()
	c.keepLife(l, got)
	return got.Capture.Curable || got.Identity == joblogs.Other && c.lifeNow(l).log.Previous != got.previous
}

// readOnce reads the log once.
func (c *Captures) readOnce(ctx context.Context, l *followedLog, now lifeNow) lifeText {
	got := lifeText{text: c.memory.open(l.namespace), previous: now.log.Previous}
	got.LifeReading = c.reader.ReadLife(ctx, now.log, now.span, heard{l, got.text})
	got.text.end()
	return got
}

// keepLife keeps what was read of an instance, rather than what was read of it before,
// if that was less.
func (c *Captures) keepLife(l *followedLog, got lifeText) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !l.active() || got.text.seen() < l.text.seen() {
		got.text.drop()
		return
	}
	l.state = following
	l.text.drop()
	l.text, l.redacted, l.capture = got.text, got.Redacted, got.Capture
	l.sure, l.first = got.Identity == joblogs.Same, got.First
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
