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
func (c *Captures) takeTurn(ctx, turn context.Context, l *followedLog) error {
	lease := (*fairshare.Lease)(nil)
	if turn.Err() == nil {
		// None is urgent: the log of a pod that is there can be read later.
		lease = c.waitFor(turn, c.running, fairshare.Request{Owner: l.namespace}, l)
	}
	if lease == nil && ctx.Err() == nil {
		lease = c.waitFor(ctx, c.streams, fairshare.Request{Owner: l.namespace, Urgent: l.urgent}, l)
	}
	if lease == nil {
		return fmt.Errorf("waiting to follow a log: %w", ctx.Err())
	}
	l.lease = lease
	c.metrics.Following(1)
	return nil
}

// waitFor returns a stream of the pool, nil if ctx ends before there is one.
func (c *Captures) waitFor(ctx context.Context, pool *fairshare.Pool, wanted fairshare.Request, l *followedLog) *fairshare.Lease {
	if lease := pool.TryAcquire(wanted); lease != nil || !c.queue(l) {
		return lease
	}
	// The error is that of ctx.
	lease, _ := pool.Acquire(ctx, wanted)
	return lease
}

// queue notes that the log has to wait, and reports whether there is anything to
// wait for: the log of a pod that is gone cannot be opened.
func (c *Captures) queue(l *followedLog) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.queued = true
	return !l.pod.gone
}

// giveTurn gives the stream of the log back, if it has one.
func (c *Captures) giveTurn(l *followedLog) {
	if l.lease == nil {
		return
	}
	l.lease.Release()
	l.lease = nil
	c.metrics.Following(-1)
}

// park gives the stream of the log back, for others to be followed, and waits for
// another one: until then what was read is kept, and how far. It reports whether
// there is one.
func (c *Captures) park(ctx, turn context.Context, l *followedLog) bool {
	c.setParked(l, true)
	c.giveTurn(l)
	c.metrics.GaveUp()
	c.metrics.Parked(1)
	err := c.takeTurn(ctx, turn, l)
	c.metrics.Parked(-1)
	if err != nil {
		return false
	}
	c.setParked(l, false)
	return true
}

func (c *Captures) setParked(l *followedLog, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch l.parked = is; {
	case !l.active():
	case is:
		l.capture = results.Capture{Reason: results.ReasonCaptureLimit, Message: parked}
	default:
		l.capture = results.Capture{}
	}
}

// interruptible returns a context for one stream of the log, which ends with ctx,
// when the stream is to be given back, or when another one is to be opened. stop
// frees what it takes.
func (c *Captures) interruptible(ctx context.Context, l *followedLog) (one context.Context, stop func()) {
	one, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	l.breakOff = cancel
	c.mu.Unlock()
	called := l.lease.CalledBack()
	c.following.Go(func() {
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
	log  *followedLog
	text *text
}

// Write implements io.Writer.
func (h heard) Write(p []byte) (int, error) {
	if lease := h.log.lease; lease != nil {
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
