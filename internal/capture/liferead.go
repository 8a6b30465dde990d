package capture

import (
	"context"
	"time"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// lifeWorker reads the log of an instance that has ended.
type lifeWorker struct{ *worker }

// readLife reads the log of an instance that has ended. It is kept once it is known to
// be that one's.
func readLife(ctx, turn context.Context, of *worker) {
	w := lifeWorker{of}
	defer w.end()
	defer w.giveTurn()
	w.log.hurry()
	for try, pause := 1, firstPause; ; try, pause = try+1, min(4*pause, longestPauseRunning) {
		err := w.takeTurn(ctx, turn)
		if try == 1 {
			w.c.metrics.Waiting(-1)
		}
		if err != nil {
			w.keepLife(lifeText{LifeReading: joblogs.LifeReading{
				Capture: results.Capture{Reason: results.ReasonCaptureLimit, Message: noStream},
			}})
			return
		}
		again := w.tryLife(ctx)
		w.giveTurn()
		if !again || try == lifeTries || !w.pauseLife(ctx, pause) {
			return
		}
	}
}

func (w lifeWorker) pauseLife(ctx context.Context, pause time.Duration) bool {
	select {
	case <-w.c.clock.After(pause):
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
	if t.Capture.Complete || !t.Capture.Retryable {
		t.Capture = joblogs.Replaced()
	}
	return t
}

// tryLife reads the log once, and reports whether to read it again.
func (w lifeWorker) tryLife(ctx context.Context) (again bool) {
	now := w.lifeNow()
	if !now.log.Readable() {
		w.keepLife(lifeText{LifeReading: joblogs.LifeReading{Capture: joblogs.Replaced()}})
		return false
	}
	got := w.readOnce(ctx, now)
	if got.Identity == joblogs.MayBe && got.Capture.Complete {
		// It waits without a stream.
		w.giveTurn()
		got = w.identify(ctx, got)
	}
	if got.Identity == joblogs.Same {
		w.keepLife(got)
		return got.Capture.Retryable
	}
	got = got.nothing()
	w.keepLife(got)
	return got.Capture.Retryable || got.Identity == joblogs.Other && w.lifeNow().log.Previous != got.previous
}

// readOnce reads the log once.
func (w lifeWorker) readOnce(ctx context.Context, now lifeNow) lifeText {
	got := lifeText{text: w.c.memory.open(w.log.namespace), previous: now.log.Previous}
	got.LifeReading = w.c.reader.ReadLife(ctx, now.log, now.span, heard{w.worker, got.text})
	got.text.end()
	return got
}

// keepLife keeps what was read of an instance, rather than what was read of it before,
// if that was less.
func (w lifeWorker) keepLife(got lifeText) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if !w.log.active() || got.text.seen() < w.log.text.seen() {
		got.text.drop()
		return
	}
	w.log.state = following
	w.log.text.drop()
	w.log.text, w.log.redacted, w.log.capture = got.text, got.Redacted, got.Capture
	w.log.sure, w.log.first = got.Identity == joblogs.Same, got.First
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
