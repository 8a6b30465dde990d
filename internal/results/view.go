package results

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
)

// podView is a pod with everything that is known of its containers.
type podView struct {
	pod        *corev1.Pod
	containers []*containerView
}

// containerView is a container with what was read of its logs, and, as
// building goes on, what was kept of them.
type containerView struct {
	Container
	pod *corev1.Pod
	// position is where the container stands among all of the run's.
	position int
	// rank is 0 for a failed container, 1 for another one in a failed pod,
	// else healthyRank.
	rank int
	// current is the log of the last instance; previous that of the one before
	// it, nil if there was none.
	current  instanceLog
	previous *instanceLog
	// earlier are those before the previous one of which something is known, the first
	// one first; gone is how many there were besides, goneRetryable whether another
	// attempt might find the log of one of those.
	earlier       []*earlierLog
	gone          int
	goneRetryable bool
	// detailed is true if containers and job.json tell of it.
	detailed bool
}

// instanceLog is the log of one instance, and how much of it is stored.
type instanceLog struct {
	text *logtext.Buffer
	// packed is the log compressed; nil where text has all of it, or nobody has.
	packed   *logpack.Log
	capture  Capture
	redacted int64
	excerpt  logtext.Excerpt
	// exact is where the bytes that excerpt tells of are kept as they were
	// written; nil if they are nowhere.
	exact *ExactRecord
	// short is the reason if the log was read whole and is not kept whole.
	short string
}

func (l *instanceLog) seen() int64 {
	if l.text == nil {
		return 0
	}
	return l.text.Seen()
}

// view arranges the pods of run by creation, then name, and gives every
// container its logs.
func view(run *Run) []*podView {
	pods := make([]*podView, 0, len(run.Pods))
	for i := range run.Pods {
		pods = append(pods, viewPod(run, &run.Pods[i]))
	}
	slices.SortStableFunc(pods, func(a, b *podView) int {
		return cmp.Or(
			a.pod.CreationTimestamp.Compare(b.pod.CreationTimestamp.Time),
			cmp.Compare(a.pod.Name, b.pod.Name),
		)
	})
	position := 0
	for _, p := range pods {
		for _, c := range p.containers {
			c.position = position
			position++
		}
	}
	boundEarlier(pods)
	return pods
}

func viewPod(run *Run, pod *Pod) *podView {
	containers := Containers(pod.Pod)
	failed := pod.Pod.Status.Phase == corev1.PodFailed || slices.ContainsFunc(containers, Container.Failed)
	v := &podView{pod: pod.Pod}
	for _, c := range containers {
		cv := &containerView{Container: c, pod: pod.Pod, rank: rank(c, failed)}
		cv.current = *instance(run, pod.log(c.Name, false))
		cv.current.capture = run.whyNotStarted(pod.Pod, cv.current.capture)
		if previous := pod.log(c.Name, true); previous != nil || c.PreviousEnd() != nil {
			cv.previous = instance(run, previous)
		}
		cv.viewEarlier(run, pod)
		v.containers = append(v.containers, cv)
	}
	return v
}

// instance returns what log, which may be nil, says.
func instance(run *Run, log *ContainerLog) *instanceLog {
	if log == nil {
		return &instanceLog{capture: unread(run)}
	}
	l := &instanceLog{
		text: log.Text, packed: log.Packed, capture: log.Capture, redacted: log.Redacted.Total(), short: run.shortReason(),
	}
	if l.capture == (Capture{}) {
		l.capture = unread(run)
	}
	return l
}

// log returns what was read of an instance of the container, nil if nothing.
func (p *Pod) log(container string, previous bool) *ContainerLog {
	for i := range p.Logs {
		if l := &p.Logs[i]; l.Container == container && l.Previous == previous && l.Earlier == nil {
			return l
		}
	}
	return nil
}

const healthyRank = 2

func rank(c Container, podFailed bool) int {
	switch {
	case c.Failed():
		return 0
	case podFailed:
		return 1
	default:
		return healthyRank
	}
}

func unread(run *Run) Capture {
	if run.LogMode == api.LogModeStatus {
		return Capture{Complete: true, Reason: ReasonNotWanted}
	}
	return Capture{Reason: ReasonNotRead, Message: "the log was not read", Retryable: true}
}

// all returns the containers of pods in order.
func all(pods []*podView) []*containerView {
	var list []*containerView
	for _, p := range pods {
		list = append(list, p.containers...)
	}
	return list
}

// byImportance returns the containers in the order in which space is given to
// them: failed first, then newest.
func byImportance(containers []*containerView) []*containerView {
	list := slices.Clone(containers)
	slices.SortStableFunc(list, func(a, b *containerView) int {
		return cmp.Or(
			cmp.Compare(a.rank, b.rank),
			b.pod.CreationTimestamp.Compare(a.pod.CreationTimestamp.Time),
			cmp.Compare(a.position, b.position),
		)
	})
	return list
}

// stored returns the capture of l as it is stored: what was read whole but not
// kept whole is no longer complete.
func (l *instanceLog) stored() CaptureRecord {
	r := l.record(l.excerpt.Kept())
	if l.capture.Complete && r.BytesKept < r.BytesSeen {
		r.Complete, r.Reason = false, l.short
		r.Message = omitted(l.excerpt.OmittedBytes, l.excerpt.OmittedLines) + " left out"
	}
	if l.exact != nil {
		place := *l.exact
		r.Exact = &place
	}
	return r
}

// largest returns a capture of l that takes no less space in job.json than
// what stored will return.
func (l *instanceLog) largest() CaptureRecord {
	r := l.record(l.seen())
	if l.capture.Complete && l.seen() > 0 {
		r.Complete = false
		r.Reason += l.short
		r.Message += omitted(l.seen(), l.text.Lines()) + " left out"
	}
	if l.seen() > 0 {
		r.Exact = &ExactRecord{Offset: maxOffset, HeadBytes: l.seen()}
	}
	return r
}

func (l *instanceLog) record(kept int64) CaptureRecord {
	return CaptureRecord{
		Complete: l.capture.Complete, Reason: logtext.Line(l.capture.Reason, maxReason),
		Message:   logtext.Line(l.capture.Message, maxCaptureMessage),
		BytesSeen: l.seen(), BytesKept: kept, Redacted: l.redacted,
	}
}

func omitted(omittedBytes, omittedLines int64) string {
	return logtext.Count(omittedBytes, "byte") + " in " + logtext.Count(omittedLines, "line")
}
