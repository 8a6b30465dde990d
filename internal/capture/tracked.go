package capture

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Seen returns the pods of job of which something is kept, as they were last seen;
// not to be changed. A pod has the Job controller's finalizer if it had it when it
// began to be deleted: then the Job's status counts it.
func (c *Captures) Seen(job types.UID) []*corev1.Pod {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pods := make([]*corev1.Pod, 0, len(c.jobs[job]))
	for _, p := range c.jobs[job] {
		pods = append(pods, p.object)
	}
	return pods
}

// stillTracked returns the pod now, with the Job controller's finalizer if it had that
// before while it was being deleted.
func stillTracked(before, now *corev1.Pod) *corev1.Pod {
	if before.DeletionTimestamp == nil || !tracked(before) || tracked(now) {
		return now
	}
	changed := now.DeepCopy()
	changed.Finalizers = append(changed.Finalizers, batchv1.JobTrackingFinalizer)
	return changed
}

func tracked(pod *corev1.Pod) bool {
	return slices.Contains(pod.Finalizers, batchv1.JobTrackingFinalizer)
}
