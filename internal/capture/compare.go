package capture

import (
	"context"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// unseen is the capture of a log that cannot be read any more, and was not compared.
var unseen = results.Capture{
	Reason: results.ReasonEndNotSeen, Message: "the container was gone before its log was known to have ended",
}

// compare tells, after the stream of the log has ended by itself, whether the log has
// too. The stream of a container that runs may end like one of a container that has
// ended, and the log may grow after that: so it is complete only if its end is compared
// once the container is known to have ended. Of a pod that is deleted it is compared
// before too, so that a stream that ended too early is followed by another one at once.
func (c *Captures) compare(ctx context.Context, l *followedLog, f *joblogs.Following) results.Capture {
	now := c.look(l)
	l.toldFirst = now.log.Ended
	if now.news != nil && now.leaving {
		if early := f.Confirm(ctx, now.log); early.Curable {
			return early
		}
	}
	switch now = c.awaitEnd(ctx, l); {
	case now.left == gone && !now.log.Ended:
		return untold(gone)
	case !now.log.Readable():
		return unseen
	case now.log.Ended:
		return f.Confirm(ctx, now.log)
	case ctx.Err() != nil:
		return joblogs.GivenUp()
	default:
		return untold(now.left)
	}
}

// awaitEnd waits for some time until the container is known to have ended, since its
// stream has, and returns the log as it is to be asked for then: that of a container
// that was started again is another one. It waits no longer once the pod cannot tell
// of its containers any more.
func (c *Captures) awaitEnd(ctx context.Context, l *followedLog) view {
	now := c.look(l)
	if now.news == nil {
		return now
	}
	// No stream is open while it waits.
	c.giveTurn(l)
	patience := c.clock.After(endToldAfter)
	for ; now.news != nil; now = c.look(l) {
		select {
		case <-now.news:
		case <-patience:
			return now
		case <-ctx.Done():
			return now
		}
	}
	return now
}

// view is what is known of a log at one time.
type view struct {
	log joblogs.Log
	// left is what is left of its pod, leaving true if that is deleted.
	left    presence
	leaving bool
	// news is closed when more is known; nil if the end of the container is known, or
	// cannot be told any more.
	news <-chan struct{}
}

// look returns what is known of the log now.
func (c *Captures) look(l *followedLog) view {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := view{log: l.latest, left: presenceOf(l.pod.object, l.pod.gone), leaving: l.pod.leaving()}
	if !l.latest.Ended && l.latest.Readable() && now.left == present {
		now.news = l.news
	}
	return now
}
