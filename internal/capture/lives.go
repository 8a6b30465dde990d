package capture

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/why"
)

const (
	// settles is within which time the kubelet is taken to tell that a container was
	// started again: an instance that is told of for so long after its log was read was
	// the one that was read.
	settles = 3 * time.Second
	// lifeTries is how often the log of an instance is read at most, within half a minute:
	// a kubelet may be started again.
	lifeTries = 6
)

// Lives takes note of a pod of job that is there, and reads the log of each instance
// of its containers that has ended: the kubelet removes it when the next one ends. It
// does not wait. Call it whenever the pod changes; a pod of which no container has been
// started again costs nothing. The pod must not be changed afterwards.
//
// While all containers of a pod are being restarted in place, their logs are followed
// as those of a pod that is deleted: the kubelet removes the containers.
func (c *Captures) Lives(ctx context.Context, job types.UID, object *corev1.Pod) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	since, known := restartingSince(object), c.get(job, object.UID) != nil
	if !known && since.IsZero() && !anyEnded(object) {
		return
	}
	logs := joblogs.LogsOf(deleted(object))
	if !known && since.IsZero() && !anyToRead(object, logs) {
		return
	}
	p := c.find(job, object)
	if p == nil || p.gone {
		return
	}
	p.object = stillTracked(p.object, why.Keep(p.object, object))
	for _, l := range p.logs {
		l.tell(logs)
		l.wake()
	}
	c.readLives(ctx, p, logs, since)
	p.noteLives()
	c.forgetEarlier(p)
	c.settle(p)
}

// readLives reads the logs of p that are to be read, of all of them, and follows them if
// its containers are being restarted since then.
func (c *Captures) readLives(ctx context.Context, p *pod, logs []joblogs.Log, since time.Time) {
	if c.stopped {
		return
	}
	for _, log := range logs {
		if toRead(p.object, log) && p.log(log) == nil {
			c.launch(ctx, p, log, readLife).ofLife = true
		}
	}
	if !since.IsZero() && !isFinal(p.object) {
		c.followRestarting(ctx, p, since)
	}
}

// followRestarting follows the logs of a pod whose containers are removed and started
// again, which was told at since.
func (c *Captures) followRestarting(ctx context.Context, p *pod, since time.Time) {
	before := len(p.logs)
	c.followAll(ctx, p)
	for _, l := range p.logs[before:] {
		l.ofLife, l.span = true, joblogs.Span{Finished: since}
	}
}

// anyEnded reports whether an instance of a container has ended.
func anyEnded(object *corev1.Pod) bool {
	for _, c := range results.Containers(object) {
		if c.State().Terminated != nil || c.PreviousEnd() != nil {
			return true
		}
	}
	return false
}

func anyToRead(object *corev1.Pod, logs []joblogs.Log) bool {
	for _, log := range logs {
		if toRead(object, log) {
			return true
		}
	}
	return false
}

// toRead reports whether the log is that of an instance that has ended, and after which
// there is another one, or may soon be.
func toRead(object *corev1.Pod, log joblogs.Log) bool {
	if isFinal(object) || !log.Readable() || !log.Ended || log.InstanceID == "" {
		return false
	}
	return log.Previous || mayStartAgain(object, log.Container)
}

// mayStartAgain reports whether a container that has ended may be started again. One
// that may, and was not, has its log be read once more at the end, so that those are
// left out that nothing starts again as a rule.
func mayStartAgain(object *corev1.Pod, name string) bool {
	for _, c := range results.Containers(object) {
		end := c.State().Terminated
		if c.Name != name || end == nil {
			continue
		}
		policy, rules := restartPolicy(object, name)
		switch {
		case c.Kind == results.KindEphemeral:
			return false
		case rules:
			return true
		case c.Kind == results.KindSidecar:
			return anyMainRuns(object)
		case policy == corev1.ContainerRestartPolicyAlways:
			return true
		default:
			return policy != corev1.ContainerRestartPolicyNever && end.ExitCode != 0
		}
	}
	return false
}

// restartPolicy returns when the container is started again, and whether it has rules of
// its own for that.
func restartPolicy(object *corev1.Pod, name string) (policy corev1.ContainerRestartPolicy, rules bool) {
	policy = corev1.ContainerRestartPolicy(object.Spec.RestartPolicy)
	for _, list := range [][]corev1.Container{object.Spec.InitContainers, object.Spec.Containers} {
		for i := range list {
			if list[i].Name != name {
				continue
			}
			if list[i].RestartPolicy != nil {
				policy = *list[i].RestartPolicy
			}
			return policy, len(list[i].RestartPolicyRules) > 0
		}
	}
	return policy, false
}

// anyMainRuns reports whether a main container has not ended.
func anyMainRuns(object *corev1.Pod) bool {
	for i := range object.Status.ContainerStatuses {
		if object.Status.ContainerStatuses[i].State.Terminated == nil {
			return true
		}
	}
	return false
}

// MayRestart reports whether a container of the pod may be started again.
func MayRestart(object *corev1.Pod) bool {
	if object.Spec.RestartPolicy != corev1.RestartPolicyNever {
		return true
	}
	for _, list := range [][]corev1.Container{object.Spec.InitContainers, object.Spec.Containers} {
		for i := range list {
			if always := list[i].RestartPolicy; always != nil && *always != corev1.ContainerRestartPolicyNever ||
				len(list[i].RestartPolicyRules) > 0 {
				return true
			}
		}
	}
	return false
}

// restartingSince returns since when all containers of a pod are being restarted in
// place, zero if they are not.
func restartingSince(object *corev1.Pod) time.Time {
	for _, condition := range object.Status.Conditions {
		if condition.Type == corev1.AllContainersRestarting && condition.Status == corev1.ConditionTrue {
			return condition.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// isFinal reports whether nothing of the pod runs or changes any more.
func isFinal(object *corev1.Pod) bool {
	return presenceOf(object, false) == final
}
