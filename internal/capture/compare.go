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
// once the container is known to have ended.
//
// Of a pod that is deleted the kubelet may remove the log before the manager hears of
// the end. So the log is compared before too, and followed once more: the kubelet ends a
// second stream at once only if the container has ended. If both agree, and the end is
// told, the log is complete although it is gone by then.
func (c *Captures) compare(ctx context.Context, l *followedLog, f *joblogs.Following) results.Capture {
	now := c.look(l)
	l.toldFirst = now.log.Ended
	var early results.Capture
	if now.news != nil && now.leaving {
		if early = f.Confirm(ctx, now.log); early.Curable {
			return early
		}
		if early.Complete && !l.endsAgain(ctx, f, now.log) {
			early = results.Capture{}
		}
	}
	switch now = c.awaitEnd(ctx, l); {
	case now.left == gone && !now.log.Ended:
		return untold(gone)
	case !now.log.Readable():
		return unseen
	case now.log.Ended:
		late := f.Confirm(ctx, now.log)
		if early.Complete && f.Uncompared() {
			return early
		}
		return late
	case ctx.Err() != nil:
		return joblogs.GivenUp()
	default:
		return untold(now.left)
	}
}

// endsAgain follows the log once more, unless that was done when there was no more of
// it, and reports whether the stream ended by itself with nothing new.
func (l *followedLog) endsAgain(ctx context.Context, f *joblogs.Following, log joblogs.Log) bool {
	before := l.text.seen()
	if before > 0 && before == l.endedAgain {
		return true
	}
	if ended, _ := f.Stream(ctx, log); !ended || l.text.seen() != before {
		return false
	}
	l.endedAgain = before
	return true
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
