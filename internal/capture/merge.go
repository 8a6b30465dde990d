package capture

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/results"
)

// With returns captured together with what was restored, in the order in which
// the pods were seen first. Of each log the better one counts. Until release is
// called the logs stay as they are.
func (r *Restored) With(captured []Captured) (all []Captured, release func()) {
	var texts []*text
	for _, one := range r.captured {
		for i := range one.logs {
			one.logs[i].text.pin()
			texts = append(texts, one.logs[i].text)
		}
	}
	for _, one := range slices.Concat(r.captured, captured) {
		i := slices.IndexFunc(all, func(c Captured) bool { return c.Pod.UID == one.Pod.UID })
		if i < 0 {
			all = append(all, Captured{Pod: one.Pod, logs: slices.Clone(one.logs)})
			continue
		}
		all[i].merge(one)
	}
	return all, func() {
		for _, t := range texts {
			t.unpin()
		}
	}
}

// merge adds what is known of the same pod later.
func (c *Captured) merge(later Captured) {
	if !lostSight(c.Pod, later.Pod) {
		c.Pod = later.Pod
	}
	for _, log := range later.logs {
		i := slices.IndexFunc(c.logs, func(l followedLog) bool { return l.same(&log) })
		if i < 0 {
			c.logs = append(c.logs, log)
			continue
		}
		c.logs[i] = log.or(&c.logs[i])
	}
}

// lostSight reports whether now tells less of how the containers of a pod ended
// than before did.
func lostSight(before, now *corev1.Pod) bool { return allEnded(before) && !allEnded(now) }

// same reports whether both are of one instance.
func (l *followedLog) same(other *followedLog) bool {
	return l.container == other.container && l.instance == other.instance &&
		(l.instance != "" || l.previous == other.previous)
}

// or returns what to keep of a log of which there are two, which are pinned.
func (l *followedLog) or(other *followedLog) followedLog {
	second, capture := results.Better(l.reading(), other.reading())
	kept := *l
	if second {
		kept = *other
	}
	kept.capture = capture
	return kept
}

// reading returns what is known of the log as it is. Of one that is only in its
// stored copy nothing is at hand.
func (l *followedLog) reading() results.Reading {
	r := results.Reading{Seen: l.text.seen(), Capture: l.capture}
	if l.text != nil && !l.text.isReleased() {
		r.Kept = l.text.Kept()
	}
	return r
}
