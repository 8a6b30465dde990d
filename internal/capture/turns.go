package capture

import (
	"context"
	"fmt"

	"github.com/job-handler/job-handler/internal/fairshare"
	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// takeTurn waits until the log may be followed: one of a running pod among those
// until turn ends, and then, as those of pods that are deleted, until ctx does.
func (w *worker) takeTurn(ctx, turn context.Context) error {
	lease := (*fairshare.Lease)(nil)
	if turn.Err() == nil {
		// None is urgent: the log of a pod that is there can be read later.
		lease = w.waitFor(turn, w.c.running, fairshare.Request{Owner: w.log.namespace})
	}
	if lease == nil && ctx.Err() == nil {
		lease = w.waitFor(ctx, w.c.streams, fairshare.Request{Owner: w.log.namespace, Urgent: w.log.urgent})
	}
	if lease == nil {
		return fmt.Errorf("waiting to follow a log: %w", ctx.Err())
	}
	w.lease = lease
	w.c.metrics.Following(1)
	return nil
}

// waitFor returns a stream of the pool, nil if ctx ends before there is one.
func (w *worker) waitFor(ctx context.Context, pool *fairshare.Pool, wanted fairshare.Request) *fairshare.Lease {
	if lease := pool.TryAcquire(wanted); lease != nil || !w.queue() {
		return lease
	}
	// The error is that of ctx.
	lease, _ := pool.Acquire(ctx, wanted)
	return lease
}

// queue notes that the log has to wait, and reports whether there is anything to
// wait for: the log of a pod that is gone cannot be opened.
func (w *worker) queue() bool {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.log.queued = true
	return !w.log.pod.gone
}

// giveTurn gives the stream of the log back, if it has one.
func (w *worker) giveTurn() {
	if w.lease == nil {
		return
	}
	w.lease.Release()
	w.lease = nil
	w.c.metrics.Following(-1)
}

// park gives the stream of the log back, for others to be followed, and waits for
// another one: until then what was read is kept, and how far. It reports whether
// there is one.
func (w *worker) park(ctx, turn context.Context) bool {
	w.setParked(true)
	w.giveTurn()
	w.c.metrics.GaveUp()
	w.c.metrics.Parked(1)
	err := w.takeTurn(ctx, turn)
	w.c.metrics.Parked(-1)
	if err != nil {
		return false
	}
	w.setParked(false)
	return true
}

func (w *worker) setParked(is bool) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	switch w.log.parked = is; {
	case !w.log.active():
	case is:
		w.log.capture = results.Capture{Reason: results.ReasonCaptureLimit, Message: parked}
	default:
		w.log.capture = results.Capture{}
	}
}

// interruptible returns a context for one stream of the log, which ends with ctx,
// when the stream is to be given back, or when another one is to be opened. stop
// frees what it takes.
func (w *worker) interruptible(ctx context.Context) (one context.Context, stop func()) {
	one, cancel := context.WithCancel(ctx)
	w.c.mu.Lock()
	w.log.breakOff = cancel
	w.c.mu.Unlock()
	called := w.lease.CalledBack()
	w.c.following.Go(func() {
		select {
		case <-called:
			cancel()
		case <-one.Done():
		}
	})
	return one, cancel
}

// heard keeps what comes of a log, and notes that its stream is not silent.
type heard struct {
	worker *worker
	text   *text
}

// Write implements io.Writer.
func (h heard) Write(p []byte) (int, error) {
	if lease := h.worker.lease; lease != nil {
		lease.Heard()
	}
	return h.text.Write(p)
}

// conclude says what is known of a log that was read to its end and could not be
// compared, now that its container is known to have ended.
func (l *followedLog) conclude() {
	l.disown()
	if l.readToEnd && l.state == done && l.latest.Ended && !l.capture.Complete {
		l.capture = joblogs.NotCompared()
	}
}
