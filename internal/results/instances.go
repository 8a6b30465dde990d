package results

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

const (
	// UnknownRestart is the Restart of an Instance of which that is not known.
	UnknownRestart = -1
	// maxInstances is of how many earlier instances of a container results tell at most,
	// maxInstancesOfRun of how many of all containers: those of the most important
	// containers, and of each the first one and the last ones.
	maxInstances      = 16
	maxInstancesOfRun = 500
)

// Instance is one of a container before the previous one.
type Instance struct {
	// Restart is how often the container had been restarted when it started, or
	// UnknownRestart.
	Restart int32
	// End is how it ended; nil if that was not seen. Its message is not told of.
	End *corev1.ContainerStateTerminated
}

// earlierLog is the log of an earlier instance.
type earlierLog struct {
	instanceLog
	Instance
	id string
}

// viewEarlier gives the container the logs of its earlier instances, and counts those of
// which nothing is known.
func (c *containerView) viewEarlier(run *Run, pod *Pod) {
	for i := range pod.Logs {
		if log := &pod.Logs[i]; log.Container == c.Name && log.Earlier != nil {
			c.earlier = append(c.earlier, &earlierLog{instanceLog: *instance(run, log), Instance: *log.Earlier, id: log.InstanceID})
		}
	}
	c.gone = max(0, c.EarlierInstances()-len(c.earlier))
	c.bound(maxInstances)
}

// bound leaves out of the earlier instances those between the first one and the last
// ones, if there are more than so many.
func (c *containerView) bound(most int) {
	excess := len(c.earlier) - most
	if excess <= 0 {
		return
	}
	from := min(1, most)
	for _, dropped := range c.earlier[from : from+excess] {
		c.goneRetryable = c.goneRetryable || dropped.capture.mayHeal()
	}
	c.earlier = slices.Delete(c.earlier, from, from+excess)
	c.gone += excess
}

// boundEarlier leaves out earlier instances of which there are too many in all.
func boundEarlier(pods []*podView) {
	left := maxInstancesOfRun
	for _, c := range byImportance(all(pods)) {
		c.bound(left)
		left -= len(c.earlier)
	}
}

// instances returns the logs of the container by when their instances started.
func (c *containerView) instances() []*instanceLog {
	logs := make([]*instanceLog, 0, len(c.earlier)+2)
	for _, earlier := range c.earlier {
		logs = append(logs, &earlier.instanceLog)
	}
	if c.previous != nil {
		logs = append(logs, c.previous)
	}
	return append(logs, &c.current)
}

// stateOf returns the state of the instance that the log is of, and how headings name
// it.
func (c *containerView) stateOf(log *instanceLog) (state corev1.ContainerState, who string) {
	if log == c.previous {
		return corev1.ContainerState{Terminated: c.PreviousEnd()}, ", previous instance"
	}
	for _, earlier := range c.earlier {
		if log != &earlier.instanceLog {
			continue
		}
		state.Terminated = earlier.End
		if earlier.Restart == UnknownRestart {
			return state, ", earlier instance"
		}
		number := int64(earlier.Restart) + 1
		return state, fmt.Sprintf(", instance %d of %d", number, max(number, c.started()))
	}
	return c.State(), ""
}

// started returns how many instances of the container there were, as far as is known.
func (c *containerView) started() int64 {
	if c.Status == nil {
		return 0
	}
	return int64(c.Status.RestartCount) + 1
}

// tellInstances tells in r of the earlier instances, with the captures that capture
// gives.
func (c *containerView) tellInstances(r *ContainerRecord, capture func(*instanceLog) CaptureRecord) {
	r.EarlierInstances = c.gone
	for _, earlier := range c.earlier {
		r.Instances = append(r.Instances, earlier.tell(capture))
	}
}

func (l *earlierLog) tell(capture func(*instanceLog) CaptureRecord) InstanceRecord {
	told := InstanceRecord{
		ContainerID: line(l.id), State: stateRecord(corev1.ContainerState{Terminated: l.End}, 0), Capture: capture(&l.instanceLog),
	}
	if l.Restart != UnknownRestart {
		told.Restart = &l.Restart
	}
	return told
}

// chooseInstances leaves out earlier instances of the containers that are told of, such
// that the part of job.json about these instances takes at most budget bytes.
func (d *details) chooseInstances(containers []*containerView, budget int) error {
	for _, c := range containers {
		for c.detailed && len(c.earlier) > 0 {
			cost, err := d.instancesCost(c)
			if err != nil {
				return err
			}
			if cost <= budget {
				budget -= cost
				break
			}
			c.bound(len(c.earlier) - 1)
		}
	}
	return nil
}

// instancesCost returns the most that the earlier instances of c take in job.json.
func (d *details) instancesCost(c *containerView) (int, error) {
	// The field itself, laid out for people.
	cost := 4 * separators
	for _, earlier := range c.earlier {
		size, err := d.size(earlier.tell((*instanceLog).largest), 6)
		if err != nil {
			return 0, err
		}
		cost += size
	}
	return cost, nil
}
