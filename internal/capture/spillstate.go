package capture

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retry"
)

const (
	// SpillAfter is how long after its end a pod is stored beside its Job, if that
	// has not taken it over by then.
	SpillAfter = 5 * time.Second
	// spillUnended is how long after the last of its logs one is stored of which
	// nobody tells that it has ended.
	spillUnended = time.Minute
	// livesPause is how long after what was kept of a pod that runs was stored, while
	// memory is short, it is stored again.
	livesPause = 10 * time.Minute
)

// spilling is what Captures know of what is stored. It is guarded by Captures.mu.
type spilling struct {
	// packing lets pods be packed for one object at a time.
	packing sync.Mutex
	// woken has an element once there is something new to be stored.
	woken chan struct{}
}

func newSpilling() spilling {
	return spilling{woken: make(chan struct{}, 1)}
}

// spillState is what is known of storing a pod.
type spillState struct {
	// quiet is since when none of its logs is followed, ended since when it is known
	// besides to have ended; zero where that is not so.
	quiet, ended time.Time
	// version changes when there is more to be stored.
	version int
	// stored is true once a copy of what there is now is stored, at the time storedAt,
	// unfit if no object can hold it.
	stored, unfit bool
	storedAt      time.Time
}

// changed notes that there is more of the pod than before.
func (p *pod) changed() {
	p.version++
	p.stored, p.quiet, p.ended = false, time.Time{}, time.Time{}
}

// wake has Await return.
func (c *Captures) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// settle takes note of whether p has come to its end. Called with c.mu held.
func (c *Captures) settle(p *pod) {
	for _, l := range p.logs {
		l.conclude()
		l.wakeLife()
	}
	if p.following() {
		return
	}
	if c.finished.Has(p.job) && !c.anyFollowed(p.job) {
		c.quiet(p.object)
	}
	now := c.clock.Now()
	if p.quiet.IsZero() {
		p.quiet = now
	}
	if p.ended.IsZero() && p.hasEnded() {
		p.ended = now
	}
	if p.leaving() || !p.ended.IsZero() || c.memory.short() {
		c.wake()
	}
}

// hasEnded reports whether p is known to do nothing more.
func (p *pod) hasEnded() bool {
	final := p.object.Status.Phase == corev1.PodSucceeded || p.object.Status.Phase == corev1.PodFailed
	return p.gone || (final || p.leaving()) && allEnded(p.object)
}

// allEnded reports whether every container that ran is known to have ended.
func allEnded(object *corev1.Pod) bool {
	return !slices.ContainsFunc(joblogs.LogsOf(deleted(object)), func(log joblogs.Log) bool {
		return log.Readable() && !log.Ended
	})
}

// followed takes note that a log of p is not followed any more, and of why if
// that is since ctx, with which all of them end, has ended.
func (c *Captures) followed(ctx context.Context, p *pod, l *followedLog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil && !l.capture.Complete && l.state == done {
		l.capture = results.Capture{
			Reason: results.ReasonStillRunning, Message: "the manager ended while the log was being followed", Retryable: true,
		}
	}
	c.settle(p)
}

// storable reports whether there is something of p to be stored, to which nothing is
// being added.
func (p *pod) storable() bool {
	return !p.stored && !p.unfit && !p.quiet.IsZero() && (p.leaving() || len(p.logs) > 0)
}

// due returns when p is to be stored, if it is to be at all. Of a pod that runs only
// what may be nowhere else is, and not each time that there is more.
func (p *pod) due(short bool) (at time.Time, ever bool) {
	switch {
	case !p.storable():
		return time.Time{}, false
	case p.ended.IsZero() && !p.leaving():
		return p.storedAt.Add(livesPause), short && p.hasLives()
	case p.ended.IsZero():
		return p.quiet.Add(spillUnended), true
	case short:
		return p.ended, true
	default:
		return p.ended.Add(SpillAfter), true
	}
}

// hasLives reports whether the log of an instance is kept after which another one was
// started, or may soon be.
func (p *pod) hasLives() bool {
	return p.earlier > 0 || slices.ContainsFunc(p.logs, func(l *followedLog) bool { return l.ofLife })
}

// Owed is a Job of which pods are to be stored.
type Owed struct {
	Job types.UID
	// Pod is one of them; not to be changed.
	Pod *corev1.Pod
}

// Due returns the Jobs of which pods are to be stored beside them by now, and how
// long it is until there are more, 0 if nothing tells of any: pods are due
// SpillAfter after their end, or at once while memory runs short. Now is by the
// clock by which their ends were noted: another one may be off by hours.
func (c *Captures) Due() (due []Owed, next time.Duration) {
	now := c.clock.Now()
	return c.owed(func(p *pod, short bool) (time.Duration, bool) {
		at, ever := p.due(short)
		return at.Sub(now), ever
	})
}

// Unstored returns the Jobs of which pods are not stored.
func (c *Captures) Unstored() []Owed {
	due, _ := c.owed(func(p *pod, _ bool) (time.Duration, bool) {
		_, ever := p.due(true)
		return 0, ever
	})
	return due
}

// owed is Due, given how long a pod is to be left yet, if it is to be stored at all.
func (c *Captures) owed(left func(p *pod, short bool) (wait time.Duration, ever bool)) (due []Owed, next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	short := c.memory.shortBy()
	for job, pods := range c.jobs {
		found := false
		for _, p := range pods {
			wait, ever := left(p, short.Has(p.object.Namespace))
			if !ever {
				continue
			}
			if wait > 0 {
				next = retry.Sooner(next, wait)
				continue
			}
			if !found {
				due = append(due, Owed{Job: job, Pod: p.object})
			}
			found = true
		}
	}
	return due, next
}

// Await returns when there may be something new to be stored, when after has
// passed, where it is not 0, or when ctx ends.
func (c *Captures) Await(ctx context.Context, after time.Duration) {
	var passed <-chan time.Time
	if after > 0 {
		timer := c.clock.NewTimer(after)
		defer timer.Stop()
		passed = timer.C()
	}
	select {
	case <-c.woken:
	case <-passed:
	case <-ctx.Done():
	}
}

// OnlyStored reports whether pods of job, or their logs, are kept nowhere but in
// what was stored of them.
func (c *Captures) OnlyStored(job types.UID) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.onlyStored[job] || slices.ContainsFunc(c.jobs[job], func(p *pod) bool {
		return slices.ContainsFunc(p.logs, func(l *followedLog) bool { return l.text.isReleased() })
	})
}

// Stats tells what Captures hold and do.
type Stats struct {
	// Pods are kept, MemoryBytes in use.
	Pods, MemoryBytes int
	// Cut counts how often a log was shortened since memory was short, Dropped the
	// pods of which nothing is left since there were too many.
	Cut, Dropped int64
}

// Stats returns what there is now.
func (c *Captures) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := Stats{Pods: c.pods, Dropped: c.dropped}
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	stats.MemoryBytes, stats.Cut = c.memory.used, c.memory.cuts
	return stats
}
