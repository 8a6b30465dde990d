package capture

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// Captured is what is kept of a pod.
type Captured struct {
	// Pod is the pod as it was last seen; not to be changed.
	Pod *corev1.Pod

	logs []followedLog
}

// Of returns what is kept of the pods of job, in the order in which they were
// seen to be deleted. Logs that are still being followed are left at what there
// is of them. Until release is called, which is never nil, the logs hold their
// memory.
func (c *Captures) Of(job types.UID) (captured []Captured, release func()) {
	if c == nil {
		return nil, func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var texts []*text
	for _, p := range c.jobs[job] {
		one := Captured{Pod: p.object}
		for _, l := range p.logs {
			l.take()
			l.disown()
			l.text.pin()
			texts = append(texts, l.text)
			one.logs = append(one.logs, *l)
		}
		captured = append(captured, one)
	}
	return captured, sync.OnceFunc(func() {
		for _, t := range texts {
			t.unpin()
		}
	})
}

// Logs returns the logs of the pod that are kept, given the pod as it is now;
// nil means that it is gone. Of one that is gone all logs are returned: that one
// is missing and why, where it is. Those of earlier instances come last, the first one
// first.
func (c Captured) Logs(now *corev1.Pod) []results.ContainerLog {
	gone := now == nil
	if gone {
		now = deleted(c.Pod)
	}
	left := presenceOf(now, gone)
	all := joblogs.LogsOf(now)
	matched, earlier := c.match(now, all)
	var logs []results.ContainerLog
	for i, log := range all {
		switch at := matched[i]; {
		case at >= 0:
			logs = append(logs, c.logs[at].result(log, left))
		case !gone:
		case !log.Readable():
			log.Capture.Retryable = false
			logs = append(logs, log.ContainerLog)
		default:
			log.Capture = deletedBeforeCapture("the pod was gone before its log could be read")
			logs = append(logs, log.ContainerLog)
		}
	}
	for _, at := range earlier {
		logs = append(logs, c.logs[at].earlierResult(left))
	}
	return logs
}

// deleted returns the pod with a deletionTimestamp: one that was deleted by
// force never had one.
func deleted(object *corev1.Pod) *corev1.Pod {
	if object.DeletionTimestamp != nil {
		return object
	}
	object = object.DeepCopy()
	object.DeletionTimestamp = &metav1.Time{}
	return object
}
