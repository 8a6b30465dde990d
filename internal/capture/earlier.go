package capture

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	// told is how many instances of a container its status tells of: the last one, and
	// the one before.
	told = 2
	// mostLives is how many logs of instances of a container are kept: of the first one,
	// and of the last ones.
	mostLives = 10
	// maxEarlierOfPod is how many logs of a pod are kept of instances before the last two,
	// and maxEarlier of all pods. Above that a namespace with its share or more of these
	// keeps none of the pod that changes.
	maxEarlierOfPod = 100
	maxEarlier      = 10_000
)

// lifeOf is what is known of the instance that a log is of.
type lifeOf struct {
	// restart is how often its container had been restarted when it started;
	// results.UnknownRestart if that is not known.
	restart int32
	// end is how it ended, without a message; nil if that was not seen.
	end *corev1.ContainerStateTerminated
}

// noteLives notes what the pod tells of the instances whose logs are kept.
func (p *pod) noteLives() {
	if len(p.logs) == 0 {
		return
	}
	for _, c := range results.Containers(p.object) {
		s := c.Status
		if s == nil {
			continue
		}
		last := s.LastTerminationState.Terminated
		if last != nil && last.ContainerID != s.ContainerID {
			p.note(c.Name, last.ContainerID, s.RestartCount-1, last)
			if running := s.State.Running; running != nil {
				p.noteNext(c.Name, last.ContainerID, running.StartedAt.Time)
			} else if end := s.State.Terminated; end != nil {
				p.noteNext(c.Name, last.ContainerID, end.StartedAt.Time)
			}
		}
		end := s.State.Terminated
		if end == nil && last != nil && last.ContainerID == s.ContainerID {
			end = last
		}
		p.note(c.Name, s.ContainerID, s.RestartCount, end)
	}
}

// note notes of the instance of this ID how often its container had been restarted
// before, and how it ended, if it has.
func (p *pod) note(container, id string, restart int32, end *corev1.ContainerStateTerminated) {
	if id == "" {
		return
	}
	for _, l := range p.logs {
		if l.container != container || l.instance != id {
			continue
		}
		if l.restart == results.UnknownRestart {
			l.restart = max(0, restart)
		}
		if end != nil && end.ContainerID == id {
			ended := *end
			ended.Reason, ended.Message = logtext.Line(end.Reason, maxReason), ""
			l.end = &ended
			l.span.Started, l.span.Finished = end.StartedAt.Time, end.FinishedAt.Time
		}
	}
}

// noteNext notes when the instance after the one of this ID started.
func (p *pod) noteNext(container, id string, started time.Time) {
	for _, l := range p.logs {
		if l.container == container && l.instance == id && id != "" {
			l.span.Next = started
		}
	}
}

// forgetEarlier drops what is kept of instances between the first and the last ones of
// their container, where there are too many.
func (k *keptPods) forgetEarlier(p *pod) {
	most := mostLives
	if k.earlier.crowded(p.object.Namespace) {
		most = told
	}
	for p.moreThan(told) > 0 && most > told && p.keepable(most) > maxEarlierOfPod {
		most--
	}
	p.trim(most)
	k.earlier.set(p, p.moreThan(told))
}

// byContainer returns how many logs of each container there are.
func (p *pod) byContainer() map[string]int {
	logs := map[string]int{}
	for _, l := range p.logs {
		logs[l.container]++
	}
	return logs
}

// moreThan returns how many logs there are besides so many of each container.
func (p *pod) moreThan(most int) int {
	more := 0
	for _, n := range p.byContainer() {
		more += max(0, n-most)
	}
	return more
}

// keepable returns how many logs of earlier instances there are if so many of each
// container are kept.
func (p *pod) keepable(most int) int { return p.moreThan(told) - p.moreThan(most) }

// trim drops logs, so that no more than so many are kept of each container: of the
// first instance, and of the last ones; with told, of the last ones.
func (p *pod) trim(most int) {
	logs, seen := p.byContainer(), map[string]int{}
	p.logs = slices.DeleteFunc(p.logs, func(l *followedLog) bool {
		at, excess := seen[l.container], logs[l.container]-most
		seen[l.container]++
		if most > told {
			at--
		}
		if at < 0 || at >= excess {
			return false
		}
		l.drop()
		return true
	})
}

// earlierLogs counts logs of earlier instances, by namespace. The zero value is ready.
type earlierLogs struct {
	all  int
	byNS map[string]int
}

// set notes that so many are kept of p.
func (e *earlierLogs) set(p *pod, logs int) {
	if e.byNS == nil {
		e.byNS = map[string]int{}
	}
	namespace, more := p.object.Namespace, logs-p.earlier
	p.earlier = logs
	e.all += more
	if e.byNS[namespace] += more; e.byNS[namespace] == 0 {
		delete(e.byNS, namespace)
	}
}

// crowded reports whether too many are kept, and the namespace has its share of them.
func (e *earlierLogs) crowded(namespace string) bool {
	return e.all >= maxEarlier && e.byNS[namespace] >= maxEarlier/max(1, len(e.byNS))
}
