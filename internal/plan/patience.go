package plan

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// SoonAgain is how soon a finished Job is looked at again of which more will be known
	// in a moment.
	SoonAgain = 200 * time.Millisecond
	// podsCatchUp is how long the watch of pods may be behind that of Jobs.
	podsCatchUp = time.Second
	// Even a node that is away for long is tried again this often.
	firstLogRetry   = time.Second
	longestLogRetry = 20 * time.Second
)

// Waiting is what a finished Job waits for before it is stored.
type Waiting string

// What Jobs wait for.
const (
	ForFollowedLogs Waiting = "logs are followed"
	ForMissingPods  Waiting = "pods are missing"
	ForNodes        Waiting = "nodes are gone"
	ForEndOfPods    Waiting = "pods are ending"
)

// Patience says for how long a finished Job waits before it is stored. Its methods return
// after how long to look at the Job again, 0 if there is nothing to wait for, or if it
// has waited long enough. A Job that is being deleted, and that no finalizer of ours
// holds, waits for nothing.
type Patience struct {
	Now time.Time
	// LogDeadline is how long reading logs is tried again.
	LogDeadline time.Duration
	// FollowSlack is how much longer than that a log may be followed.
	FollowSlack time.Duration
	// NodeGrace is how long a Node object that is gone is waited for.
	NodeGrace time.Duration
	// ProtectDeadline is for how long our finalizer may hold up a deletion.
	ProtectDeadline time.Duration
	// Waited returns for how long the Job has waited for this. The time begins with the
	// first call.
	Waited func(Waiting) time.Duration
}

// Reading is how far reading the logs of a Job has come.
type Reading struct {
	// First is when its logs were read first, Tries how often.
	First time.Time
	Tries int
	// Complete and Retryable are about all its logs: whether they are whole, and, if not,
	// whether to read them again may help.
	Complete, Retryable bool
	// NodeGone is true if the Node object of a pod that is there is gone. It may register
	// again.
	NodeGone bool
}

// leaves reports whether the Job is being deleted and we do not hold it: there is no
// time to wait.
func leaves(job *batchv1.Job) bool {
	return job.DeletionTimestamp != nil && !policy.Protected(job)
}

// FollowedLogs is about a Job with logs that are still being followed. When the last of
// them ends, the Job is looked at soon anyway: to look again is for what that may have
// missed, and for the deadline.
func (p *Patience) FollowedLogs(job *batchv1.Job, following bool) time.Duration {
	if leaves(job) || !following {
		return 0
	}
	return p.upTo(ForFollowedLogs, p.LogDeadline+p.FollowSlack)
}

// upTo waits for this until limit, at growing intervals.
func (p *Patience) upTo(what Waiting, limit time.Duration) time.Duration {
	waited := p.Waited(what)
	if waited >= limit {
		return 0
	}
	return min(max(SoonAgain, waited), longestLogRetry, limit-waited)
}

// MissingPods is about pods that the watch of deleted ones may yet show. known are those
// that are there or were seen.
func (p *Patience) MissingPods(job *batchv1.Job, known []*corev1.Pod) time.Duration {
	if leaves(job) {
		return 0
	}
	lacking := MissingPods(job, known)
	if lacking.None() {
		return 0
	}
	left := podsCatchUp - p.Waited(ForMissingPods)
	if lacking.Pods > 0 {
		left = min(left, SoonAgain)
	}
	return max(0, left)
}

// EndOfPods is about pods that are being deleted and have not ended. Before 1.31
// Kubernetes calls a Job failed as soon as the deletion of its pods has begun. Where logs
// are read, a log waits for the end of its container.
func (p *Patience) EndOfPods(job *batchv1.Job, logMode string, pods []*corev1.Pod) time.Duration {
	ending := func(pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil && !jobstatus.PodEnded(pod) }
	if logMode != api.LogModeStatus || leaves(job) || !slices.ContainsFunc(pods, ending) {
		return 0
	}
	return p.upTo(ForEndOfPods, p.LogDeadline)
}

// ReadAgain is about logs that could not be read whole. limit is for how long reading
// them goes on in all.
func (p *Patience) ReadAgain(job *batchv1.Job, reading Reading) (again, limit time.Duration) {
	limit = p.LogDeadline
	left := reading.First.Add(limit).Sub(p.Now)
	if reading.NodeGone && !reading.Retryable {
		limit = min(limit, p.NodeGrace)
		left = min(left, limit-p.Waited(ForNodes))
	}
	if until, held := HeldUntil(job, p.ProtectDeadline); held {
		left = min(left, until.Sub(p.Now))
	}
	if reading.Complete || !reading.Retryable && !reading.NodeGone || left <= 0 || leaves(job) {
		return 0, limit
	}
	wait := longestLogRetry
	if reading.Tries < 6 {
		wait = min(wait, firstLogRetry<<(reading.Tries-1))
	}
	return min(wait, left), limit
}
