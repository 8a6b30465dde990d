package capture

import (
	"time"

	"github.com/job-handler/job-handler/internal/results"
)

// limitAll bounds for how long the logs of p are followed: those of a pod that is
// deleted until its time is over, and those of a container that has ended until
// what it wrote should have been read. They are in a hurry then.
func (c *Captures) limitAll(p *pod) {
	for _, l := range p.logs {
		switch {
		case p.leaving():
			l.hurry()
			c.limit(l, c.timeLeft(p.object))
		case l.state == following && (l.latest.Ended || !l.latest.Readable()):
			c.limit(l, catchUp)
		}
	}
}

// limit has the log be followed no longer than left.
func (c *Captures) limit(l *followedLog, left time.Duration) {
	until := c.clock.Now().Add(left)
	if !l.active() || !l.until.IsZero() && !until.Before(l.until) {
		return
	}
	if l.until.IsZero() {
		// Who waits for the end to be told waits for it no longer.
		l.wake()
	}
	c.setLimit(l, left)
}

func (c *Captures) setLimit(l *followedLog, left time.Duration) {
	l.until, l.before = c.clock.Now().Add(left), l.text.seen()
	if left > stillComing {
		c.clock.AfterFunc(left-stillComing, func() { c.note(l) })
	}
	c.clock.AfterFunc(left, func() { c.expire(l) })
}

// note takes note of how much there is of a log.
func (c *Captures) note(l *followedLog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.active() {
		l.before = l.text.seen()
	}
}

// expire ends the following of a log whose time is over, but for one of which more
// comes, and for one whose kubelet does not answer: as long as that is away nobody
// ends the container or removes its log.
func (c *Captures) expire(l *followedLog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !l.active() || c.clock.Now().Before(l.until):
	case l.capture.Reason == results.ReasonNodeUnreachable && !l.pod.gone:
		c.setLimit(l, Slack)
	case l.text.seen() > l.before && !l.pod.gone:
		c.setLimit(l, stillComing)
	default:
		l.cancel()
	}
}
