package capture

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// matching finds which of the logs that are kept of a pod are those that it tells of.
type matching struct {
	kept []followedLog
	// restarts are how often each container of the pod was restarted, ids which instance of
	// it is the last one, as far as that is told.
	restarts map[string]int32
	ids      map[string]string
	// of is which of kept each of the pod's logs is, -1 if none, taken which are.
	of    []int
	taken []bool
}

// match returns for each of all, the logs of the pod now, which of the logs is the one,
// -1 if none is, and those of instances from before them, the first ones first.
func (c Captured) match(now *corev1.Pod, all []joblogs.Log) (matched, earlier []int) {
	m := &matching{
		kept: c.logs, restarts: map[string]int32{}, ids: map[string]string{}, of: slices.Repeat([]int{-1}, len(all)), taken: make([]bool, len(c.logs)),
	}
	for _, container := range results.Containers(now) {
		if container.Status != nil {
			m.restarts[container.Name], m.ids[container.Name] = container.Status.RestartCount, container.Status.ContainerID
		}
	}
	for _, find := range []func(joblogs.Log) int{m.byID, m.byRestart, m.latest} {
		for i, log := range all {
			if m.of[i] >= 0 {
				continue
			}
			if at := find(log); at >= 0 {
				m.of[i], m.taken[at] = at, true
			}
		}
	}
	return m.of, m.earlier()
}

func (m *matching) byID(log joblogs.Log) int {
	return slices.IndexFunc(m.kept, func(l followedLog) bool { return l.is(log) })
}

// byRestart is for an instance of which the kubelet does not know any more which one it
// was, or what it wrote: it is found by how often its container had been restarted. A
// container that the kubelet lost sight of counts as restarted.
func (m *matching) byRestart(log joblogs.Log) int {
	if log.InstanceID != "" || log.Capture.Reason != results.ReasonContainerGone {
		return -1
	}
	most := m.restarts[log.Container]
	least := most - 1
	if log.Previous {
		most--
	}
	return m.last(func(l *followedLog, taken bool) bool {
		return !taken && l.container == log.Container && (l.restart == results.UnknownRestart || l.restart >= least && l.restart <= most)
	})
}

// latest is for the last instance of a container about which nothing is told any more,
// as of an evicted pod: it is the one that was followed last, unless that is another one.
func (m *matching) latest(log joblogs.Log) int {
	if log.Readable() || log.Previous || log.Capture.Reason == results.ReasonNotStartedAgain {
		return -1
	}
	last := m.last(func(l *followedLog, _ bool) bool { return l.container == log.Container && l.text.seen() > 0 })
	if last < 0 || m.taken[last] || m.kept[last].ofLife {
		return -1
	}
	if id := m.ids[log.Container]; id != "" && id != m.kept[last].instance {
		return -1
	}
	return last
}

// last returns the last of the logs for which is is true, -1 if there is none.
func (m *matching) last(is func(l *followedLog, taken bool) bool) int {
	for i := len(m.kept) - 1; i >= 0; i-- {
		if is(&m.kept[i], m.taken[i]) {
			return i
		}
	}
	return -1
}

// earlier returns the logs of instances that have ended and of which the pod tells no
// more, of each container the first one and the last ones.
func (m *matching) earlier() []int {
	byContainer := map[string][]int{}
	for i := range m.kept {
		l := &m.kept[i]
		superseded := l.restart != results.UnknownRestart && l.restart < m.restarts[l.container]
		if !m.taken[i] && l.instance != "" && (l.ofLife || l.end != nil || superseded) {
			byContainer[l.container] = append(byContainer[l.container], i)
		}
	}
	var all []int
	for _, name := range slices.Sorted(maps.Keys(byContainer)) {
		lives := byContainer[name]
		slices.SortStableFunc(lives, func(a, b int) int { return m.kept[a].compare(m.kept[b].lifeOf) })
		if excess := len(lives) - (mostLives - told); excess > 0 {
			lives = slices.Delete(lives, 1, 1+excess)
		}
		all = append(all, lives...)
	}
	return all
}

// compare orders instances by when they started.
func (l lifeOf) compare(other lifeOf) int {
	if l.restart != results.UnknownRestart && other.restart != results.UnknownRestart {
		return cmp.Compare(l.restart, other.restart)
	}
	if l.end != nil && other.end != nil {
		return l.end.StartedAt.Compare(other.end.StartedAt.Time)
	}
	return 0
}
