package capture

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/results"
)

// timeLeft returns how long the containers of a deleted pod may still run, between
// Slack and longestGrace more.
func timeLeft(object *corev1.Pod, now time.Time) time.Duration {
	if object.DeletionTimestamp == nil {
		return Slack
	}
	// The API server's clock may be another, so that what is left of the time until
	// the deletion counts only where the whole of it is not known.
	if grace := object.DeletionGracePeriodSeconds; grace != nil {
		return graceOf(*grace) + Slack
	}
	return min(max(0, object.DeletionTimestamp.Sub(now)), longestGrace) + Slack
}

// graceOf returns a grace period in seconds as a duration, between 0 and
// longestGrace.
func graceOf(seconds int64) time.Duration {
	return time.Duration(min(max(0, seconds), int64(longestGrace/time.Second))) * time.Second
}

// signalled returns when the containers of a pod were told to end, by the clock of
// the API server; zero if they were not, or if it is not known when.
func signalled(object *corev1.Pod) time.Time {
	grace := object.DeletionGracePeriodSeconds
	if object.DeletionTimestamp == nil || grace == nil || *grace > int64(longestGrace/time.Second) {
		return time.Time{}
	}
	return object.DeletionTimestamp.Add(-graceOf(*grace))
}

// limitAll limits for how long the logs of p are followed, as far as that is known:
// those of a pod that is deleted until its time is over, and those of a container
// that has ended until what it wrote should have been read. They are in a hurry then.
func (p *pod) limitAll() {
	for _, l := range p.logs {
		switch {
		case p.leaving():
			l.hurry()
			l.limit(timeLeft(p.object, p.of.clock.Now()))
		case l.state == following && (l.latest.Ended || !l.latest.Readable()):
			l.limit(catchUp)
		}
	}
}

// limit has expire look at the log after left, unless it does earlier.
func (l *followedLog) limit(left time.Duration) {
	until := l.pod.of.clock.Now().Add(left)
	if !l.active() || !l.until.IsZero() && !until.Before(l.until) {
		return
	}
	if l.until.IsZero() {
		// The end of the container is awaited no longer.
		l.wake()
	}
	l.setLimit(left)
}

func (l *followedLog) setLimit(left time.Duration) {
	clk := l.pod.of.clock
	l.until, l.before = clk.Now().Add(left), l.text.seen()
	l.stopTimers()
	if left > stillComing {
		l.timers = append(l.timers, clk.AfterFunc(left-stillComing, func() { l.note() }))
	}
	if l.pod.leaving() {
		// The kubelet kills the containers soon, and removes their logs.
		l.timers = append(l.timers, clk.AfterFunc(max(0, left-Slack-stillComing), l.urge))
	}
	l.timers = append(l.timers, clk.AfterFunc(left, func() { l.expire() }))
}

// stopTimers lets go of what was to happen to the log, and so of the log: users
// choose grace periods.
func (l *followedLog) stopTimers() {
	for _, timer := range l.timers {
		timer.Stop()
	}
	l.timers = nil
}

// note takes note of how much there is of a log.
func (l *followedLog) note() {
	l.pod.of.mu.Lock()
	defer l.pod.of.mu.Unlock()
	if l.active() {
		l.before = l.text.seen()
	}
}

// expire looks at a log whose time is over. That its pod is there is evidence that
// more may come, and that time is over is none that nothing will: on a slow machine
// a container may take long to end. So a log is followed until it ends, until its
// pod is gone, or until what there is of it is taken for the results of its Job. Of
// a container that has ended another stream is opened: the one that is open should
// have ended too.
func (l *followedLog) expire() {
	l.pod.of.mu.Lock()
	defer l.pod.of.mu.Unlock()
	switch {
	case !l.active() || l.pod.of.clock.Now().Before(l.until):
	case l.text.seen() > l.before && !l.pod.gone:
		l.setLimit(stillComing)
	case l.mayComeToItsEnd():
		if l.latest.Ended {
			l.breakOff()
		}
		l.setLimit(Slack)
	default:
		l.cancel()
	}
}

// mayComeToItsEnd reports whether the log can be read, and should end by itself.
func (l *followedLog) mayComeToItsEnd() bool {
	return !l.pod.gone && l.latest.Readable() && (l.latest.Ended || l.pod.leaving() || l.capture.Reason == results.ReasonNodeUnreachable)
}
