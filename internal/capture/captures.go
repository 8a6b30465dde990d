package capture

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"

	"github.com/job-handler/job-handler/internal/fairshare"
	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/why"
)

// Defaults of Options.
const (
	DefaultMemoryBytes = 64 << 20
	// DefaultStreams is how many logs of pods that are deleted are followed at once.
	DefaultStreams = 512
	// DefaultFollowStreams is how many logs of running pods are followed at once.
	// Each is a request of its own to the API server, over one connection, and a
	// connection from there to a kubelet, which looks for more once a second.
	DefaultFollowStreams = 256
)

const (
	// Slack is how much longer than its pod's grace period a log is followed until it
	// is looked at again: the kubelet takes some seconds to kill what does not end by
	// itself.
	Slack = 30 * time.Second
	// longestGrace bounds grace periods, which users choose, so that no sum of times
	// overflows.
	longestGrace = 365 * 24 * time.Hour
	// idleLimit is how long a stream may bring nothing before it gives way to any
	// other of its namespace that waits, or of one with fewer streams.
	idleLimit = time.Minute
	// stillComing is within which time more of a log has to come that is followed for
	// longer than that: a busy machine may take long to end a container, and to send
	// what that wrote.
	stillComing = 5 * time.Second
	// catchUp is how much longer than its container a log is followed.
	catchUp = 2 * time.Minute
	// endToldAfter is how long after the end of a log its container may be told to
	// have ended.
	endToldAfter = 5 * time.Second

	// The most pods that are kept, of one Job and of all. Without their specs
	// they take some 2 KiB each.
	maxPodsOfJob = 500
	maxPods      = 5000
)

// Options bound Captures. The zero value means the defaults.
type Options struct {
	// MemoryBytes is the most that log text holds in memory, of all pods from
	// their deletion until their Job is forgotten.
	MemoryBytes int
	// Streams is how many logs of pods that are deleted are followed at once,
	// FollowStreams how many of others. Namespaces share them fairly.
	Streams, FollowStreams int
	// Metrics are told what is followed; nil: nobody is.
	Metrics Metrics
	// Clock drives the deadlines and pauses; nil means the real clock.
	Clock clock.WithDelayedExecution
}

// Captures are the pods of unfinished Jobs that were deleted, or whose logs are
// followed from the start, by the UID of their Job. All methods may be called at
// any time from anywhere; a nil *Captures captures nothing.
type Captures struct {
	reader  *joblogs.Reader
	clock   clock.WithDelayedExecution
	memory  *memory
	metrics Metrics
	// streams are for the logs of pods that are deleted, running for others.
	streams, running *fairshare.Pool

	// following counts the logs that are followed.
	following sync.WaitGroup

	mu sync.Mutex
	// stopped is true once no log may be followed any more.
	stopped bool
	keptPods
	// finished are the Jobs with pods here that have finished, quiet is called when
	// none of the logs of such a Job is followed any more.
	finished sets.Set[types.UID]
	quiet    func(pod *corev1.Pod)

	spilling
}

// pod is one pod that was deleted, or whose logs are followed.
type pod struct {
	// of is what keeps it.
	of  *Captures
	job types.UID
	// object is as it was last seen. It is never changed.
	object *corev1.Pod
	// gone is true once it is not there any more.
	gone bool
	// logs are those that are, or were, followed, by when they began to be. earlier is
	// how many of them are of instances before the last two of their containers.
	logs    []*followedLog
	earlier int

	spillState
}

// New returns Captures that read with reader.
func New(reader *joblogs.Reader, opts Options) *Captures {
	if opts.MemoryBytes <= 0 {
		opts.MemoryBytes = DefaultMemoryBytes
	}
	if opts.Streams <= 0 {
		opts.Streams = DefaultStreams
	}
	if opts.FollowStreams <= 0 {
		opts.FollowStreams = DefaultFollowStreams
	}
	if opts.Metrics == nil {
		opts.Metrics = unmeasured{}
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	shared := fairshare.Options{CallBack: true, Idle: idleLimit, Clock: opts.Clock}
	c := &Captures{
		reader: reader, clock: opts.Clock, metrics: opts.Metrics,
		streams: fairshare.New(int64(opts.Streams), shared), running: fairshare.New(int64(opts.FollowStreams), shared),
		memory: newMemory(opts.MemoryBytes), keptPods: newKeptPods(), spilling: newSpilling(),
		finished: sets.New[types.UID](), quiet: func(*corev1.Pod) {},
	}
	c.memory.pressure = c.wake
	return c
}

// OnQuiet lets f be called with one of its pods when none of the logs of a Job is
// followed any more for which Finish was called. It is called with locks held, and
// must neither wait nor change the pod.
func (c *Captures) OnQuiet(f func(pod *corev1.Pod)) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet = f
}

// Begin takes note of a pod of job that has a deletionTimestamp, and follows
// those of its logs that are not followed yet until ctx ends, if withLogs says
// so. It does not wait. Call it again whenever the pod changes: it is the states
// of its containers that tell which logs there are, and that one has ended. The
// pod must not be changed afterwards.
func (c *Captures) Begin(ctx context.Context, job types.UID, object *corev1.Pod, withLogs bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.find(job, object)
	if p == nil || p.gone {
		return
	}
	p.object = stillTracked(p.object, why.Keep(p.object, object))
	if withLogs {
		c.followAll(ctx, p)
	}
	p.noteLives()
	c.forgetEarlier(p)
	c.settle(p)
}

// Follow follows the logs of a pod of job from the start of each container until
// it ends, or ctx does. Else it is as Begin, which takes over where the pod is
// deleted.
func (c *Captures) Follow(ctx context.Context, job types.UID, object *corev1.Pod) {
	c.Begin(ctx, job, object, true)
}

// Remember takes note of what the watch showed of a pod of job that has not started: the
// kubelet has just replaced it. The pod must not be changed afterwards.
func (c *Captures) Remember(job types.UID, object *corev1.Pod) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.find(job, object); p != nil && !p.gone {
		p.object = stillTracked(p.object, why.Keep(p.object, object))
	}
}

// Finish has the logs of a Job that has finished be followed no longer than they
// may take to end.
func (c *Captures) Finish(job types.UID) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.jobs[job] {
		c.finished.Insert(job)
		for _, l := range p.logs {
			switch {
			case l.mayFallBack():
				l.fallBack()
			case l.parked && l.active() && !p.leaving():
				// It is for others to read, and what was read before counts too.
				l.capture.Retryable = true
				l.cancel()
			case l.state == following && l.until.IsZero():
				l.limit(catchUp)
			}
		}
	}
}

// Gone takes note that a pod of job is not there any more, and how it was seen
// last. It is kept also if Begin never saw it.
func (c *Captures) Gone(job types.UID, object *corev1.Pod) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.find(job, object); p != nil {
		p.object, p.gone = stillTracked(p.object, why.Keep(p.object, object)), true
		logs := joblogs.LogsOf(deleted(p.object))
		for _, l := range p.logs {
			l.tell(logs)
			if l.active() && (l.parked || l.state == waiting && l.queued) {
				// Its log cannot be opened any more.
				l.cancel()
			}
		}
		p.limitAll()
		p.noteLives()
		c.settle(p)
	}
}

// Following reports whether a log of a pod of job is being followed.
func (c *Captures) Following(job types.UID) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.anyFollowed(job)
}

// Pods returns the UIDs of the pods of job of which something is kept.
func (c *Captures) Pods(job types.UID) []types.UID {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	uids := make([]types.UID, 0, len(c.jobs[job]))
	for _, p := range c.jobs[job] {
		uids = append(uids, p.object.UID)
	}
	return uids
}

// Forget drops what is kept of the pods of job, and ends what is followed.
func (c *Captures) Forget(job types.UID) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(job)
	c.finished.Delete(job)
}

// Stop waits until no log is followed any more, and lets no new one be
// followed. The context of Begin must have ended.
func (c *Captures) Stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.following.Wait()
}

// leaving reports whether the pod is deleted, or was.
func (p *pod) leaving() bool { return p.gone || p.object.DeletionTimestamp != nil }

// find returns what is kept of a pod, and makes room for one that is new. It
// returns nil where there is none.
func (c *Captures) find(job types.UID, object *corev1.Pod) *pod {
	if p := c.get(job, object.UID); p != nil {
		return p
	}
	p := &pod{of: c, job: job, object: object}
	if !c.add(p) {
		return nil
	}
	return p
}
