package capture

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/results"
)

// The pauses before a log that broke off is followed again.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// followedLog is one log of a pod. Its fields are guarded by Captures.mu, but
// for those that are set before it is followed.
type followedLog struct {
	container, instance string
	previous            bool
	cancel              context.CancelFunc

	// done is true once nobody follows it any more.
	done bool
	// text is the best that was read before, current what is being read; nil where
	// nothing is.
	text, current *text
	capture       results.Capture
	// packed is the log compressed, where it was stored and text has less of it; else
	// nil.
	packed *logpack.Log
	// begun is true once it has a stream.
	begun bool
}

// followAll follows the logs of p that are not followed yet. Called with c.mu
// held.
func (c *Captures) followAll(ctx context.Context, p *pod) {
	if c.stopped {
		return
	}
	for _, log := range joblogs.LogsOf(p.object) {
		if !log.Readable() || p.log(log) != nil {
			continue
		}
		following, cancel := context.WithCancel(ctx)
		l := &followedLog{container: log.Container, instance: log.InstanceID, previous: log.Previous, cancel: cancel}
		p.logs = append(p.logs, l)
		p.changed()
		left := c.timeLeft(p.object)
		c.following.Go(func() {
			c.follow(following, l, log, left)
			c.followed(ctx, p, l)
		})
	}
}

// timeLeft returns how long the containers of a deleted pod may still run.
func (c *Captures) timeLeft(object *corev1.Pod) time.Duration {
	if object.DeletionTimestamp == nil {
		return Slack
	}
	left := object.DeletionTimestamp.Sub(c.clock.Now())
	if grace := object.DeletionGracePeriodSeconds; grace != nil {
		// The API server's clock may be another.
		left = min(left, time.Duration(*grace)*time.Second)
	}
	return max(0, left) + Slack
}

// follow follows one log to its end, again from its beginning where it broke
// off, for as long as its pod may take to end.
func (c *Captures) follow(ctx context.Context, l *followedLog, log joblogs.Log, left time.Duration) {
	defer c.end(l)
	defer c.clock.AfterFunc(left, l.cancel).Stop()
	if err := c.streams.Acquire(ctx, 1); err != nil {
		c.keep(l, results.ContainerLog{Capture: results.Capture{
			Reason: results.ReasonCaptureLimit, Message: "too many logs of deleted pods were followed at once",
		}})
		return
	}
	defer c.streams.Release(1)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		text := c.open(l)
		if text == nil {
			return
		}
		read := c.reader.Follow(ctx, log, text)
		c.keep(l, read)
		if !read.Capture.Curable {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-c.clock.After(pause):
		}
	}
}

func (c *Captures) end(l *followedLog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.done = true
	l.cancel()
}

// open returns the text for one more try, nil if the log was taken or dropped.
func (c *Captures) open(l *followedLog) *text {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.done {
		return nil
	}
	l.current, l.begun = c.memory.open(), true
	return l.current
}

// keep notes how a try ended. A log that was taken or dropped meanwhile stays as
// it is.
func (c *Captures) keep(l *followedLog, read results.ContainerLog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.done {
		return
	}
	if l.current != nil {
		l.current.redacted = read.Redacted
	}
	l.keepBetter(read.Capture.Complete)
	l.capture = read.Capture
}

// keepBetter keeps the current text if it is known to be whole, or has at least
// as much as the best before.
func (l *followedLog) keepBetter(whole bool) {
	if l.current != nil && (whole || l.text == nil || l.current.seen() >= l.text.seen()) {
		l.text, l.current = l.current, l.text
	}
	l.current.drop()
	l.current = nil
}

// take has nothing more be added to the log.
func (l *followedLog) take() {
	if l.done {
		return
	}
	l.cancel()
	l.done = true
	l.keepBetter(false)
	l.capture = results.Capture{Reason: results.ReasonStillRunning, Message: "the log was still being followed", Curable: true}
}

// log returns the log of p that is, or was, followed as log, nil if none is.
func (p *pod) log(log joblogs.Log) *followedLog {
	i := slices.IndexFunc(p.logs, func(l *followedLog) bool {
		return l.is(log)
	})
	if i < 0 {
		return nil
	}
	return p.logs[i]
}

// is reports whether l is of this instance, which becomes the previous one by a
// restart. The kubelet may not know any more which one it was.
func (l *followedLog) is(log joblogs.Log) bool {
	forgotten := log.InstanceID == "" && log.Capture.Reason == results.ReasonContainerGone
	return l.container == log.Container &&
		(forgotten || l.instance == log.InstanceID) &&
		(log.InstanceID != "" || l.previous == log.Previous)
}

func (p *pod) following() bool {
	return slices.ContainsFunc(p.logs, func(l *followedLog) bool { return !l.done })
}

// drop ends what is followed and gives its memory back.
func (p *pod) drop() {
	for _, l := range p.logs {
		l.cancel()
		l.done = true
		l.text.drop()
		l.current.drop()
		l.text, l.current = nil, nil
	}
}

// result returns the log as it is kept, given whether its container is known to
// have ended and its pod to be gone.
func (l *followedLog) result(log joblogs.Log, gone bool) results.ContainerLog {
	kept := log.ContainerLog
	kept.Capture = l.capture
	if l.text.seen() > 0 || l.capture.Complete {
		kept.Text, kept.Packed, kept.Redacted = l.text.buffer, l.packed, l.text.redacted
	}
	switch {
	case l.text.isReleased():
		kept.Text = nil
		kept.Capture = results.Capture{
			Reason: results.ReasonCaptureLost, Message: "what was captured was stored in an object that is not there, or not whole",
		}
	case l.capture.Complete && !log.Ended && gone:
		kept.Capture = results.Capture{
			Reason: results.ReasonEndNotSeen, Message: "the pod was gone before its container was reported to have ended",
		}
	case l.capture.Complete && !log.Ended:
		kept.Capture = results.Capture{
			Reason: results.ReasonStillRunning, Message: "the container was not reported to have ended", Curable: true,
		}
	case kept.Text == nil && l.capture.Reason == results.ReasonPodGone:
		kept.Capture = deletedBeforeCapture(fmt.Sprintf("nothing could be read: %s", l.capture.Message))
	}
	if gone {
		kept.Capture.Curable = false
	}
	return kept
}

func deletedBeforeCapture(message string) results.Capture {
	return results.Capture{Reason: results.ReasonDeletedBeforeCapture, Message: message}
}
