package capture

import (
	"context"
	"time"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// endsAtOnce is within which time a stream ends that is opened after its container has
// ended: it brings what is there, which may be much, and may come from a slow machine.
const endsAtOnce = 5 * time.Second

var unseen = results.Capture{
	Reason: results.ReasonEndNotSeen, Message: "the container was gone before its log was known to have ended",
}

// ending is what the last stream of a log left open.
type ending struct {
	// open is true if the stream ended by itself, at the time at, and the container was
	// not known to have ended.
	open bool
	at   time.Time
	// atOnce is true if the next stream is opened without a pause.
	atOnce bool
}

// compare tells, after a stream of the log has ended by itself, whether the log has too.
// before is what the stream before it left open, lasted for how long it was open.
//
// The API server hides that a kubelet broke a stream off, so that the stream of a running
// container may end as that of one that has ended does, and the end of the log may be the
// same at that moment. So the end is compared only if the container was reported to have
// ended. Else the log is followed by another stream at once, which stays open while the
// container runs. If that ends at once too and brings nothing, the container has ended.
// Waiting for the report instead would lose logs that are whole: the kubelet may remove
// the log of a deleted pod before.
func (w *worker) compare(ctx context.Context, f *joblogs.Following, before ending, lasted time.Duration) results.Capture {
	now, short := w.c.clock.Now(), lasted <= endsAtOnce
	again := before.open && short && !f.Brought()
	log, _ := w.look()
	if !again {
		log = w.awaitEnd(ctx)
	}
	capture := unseen
	switch {
	case !log.Readable():
	case again || log.Ended:
		capture = f.Confirm(ctx, log)
	default:
		// Of streams that end again and again every other one waits.
		w.ending = ending{open: true, at: now, atOnce: !before.atOnce || !short}
	}
	if !again || capture.Retryable {
		w.reopened(before)
	}
	return capture
}

// compareGone tells, after a stream of the log could not be opened or broke off, whether
// the log was removed with its container just after the stream before it had ended: then
// that was the end. Else it returns what went wrong.
func (w *worker) compareGone(ctx context.Context, f *joblogs.Following, before ending, wrong results.Capture) results.Capture {
	if wrong.Complete {
		return wrong
	}
	w.reopened(before)
	log, _ := w.look()
	if !before.atOnce || f.Brought() || !log.Readable() || ctx.Err() != nil || w.c.clock.Since(before.at) > endsAtOnce {
		return wrong
	}
	if capture := f.Confirm(ctx, log); f.IsGone() {
		return capture
	}
	return wrong
}

// reopened counts a stream that was opened without a pause and was not the last.
func (w *worker) reopened(before ending) {
	if before.atOnce {
		w.c.metrics.Reconnected()
	}
}

// awaitEnd waits until the container of a running pod is known to have ended, since
// its stream has, and returns the log as it is to be asked for then: that of a
// container that was started again is another one.
func (w *worker) awaitEnd(ctx context.Context) joblogs.Log {
	patience := w.c.clock.After(endToldAfter)
	for {
		log, wait := w.look()
		if wait == nil {
			return log
		}
		select {
		case <-wait:
		case <-patience:
			return log
		case <-ctx.Done():
			return log
		}
	}
}
