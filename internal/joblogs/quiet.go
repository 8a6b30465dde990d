package joblogs

import (
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
)

// The times after which it is asked, of a stream that brings nothing, whether the
// log has more: the first, and the longest, to which it doubles.
const (
	firstQuiet   = 10 * time.Second
	longestQuiet = 5 * time.Minute
)

// errBehind ends a stream that brings nothing although there is more of the log: a
// kubelet that missed the rotation of a log goes on with the old file.
var errBehind = errors.New("the stream brought nothing although the log grew")

// quiet ends a stream that brings nothing although there is more.
type quiet struct {
	following *Following
	task      *task
	cancel    context.CancelCauseFunc
	asking    sync.WaitGroup
	// latest and behind are those of the Following when the stream was opened or
	// was heard of last.
	mu      sync.Mutex
	timer   clock.Timer
	after   time.Duration
	latest  stamp
	stopped bool
}

// watchQuiet returns a context for a stream of t, which ends with the stop of what
// watches it.
func (f *Following) watchQuiet(ctx context.Context, t *task) (context.Context, *quiet) {
	ctx, cancel := context.WithCancelCause(ctx)
	q := &quiet{following: f, task: t, cancel: cancel, after: firstQuiet, latest: f.resumed.latest}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timer = f.reader.options.Clock.AfterFunc(q.after, func() { q.ask(ctx) })
	return ctx, q
}

// heard notes that the stream brought something new.
func (q *quiet) heard() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.latest, q.after = q.following.resumed.latest, firstQuiet
	if !q.stopped {
		q.timer.Reset(q.after)
	}
}

// ask gives the stream up if the log has a later line than the stream has brought.
func (q *quiet) ask(ctx context.Context) {
	q.mu.Lock()
	if q.stopped {
		q.mu.Unlock()
		return
	}
	q.asking.Add(1)
	q.mu.Unlock()
	defer q.asking.Done()
	one := int64(1)
	last, known := q.following.reader.lineStamp(ctx, q.task, corev1.PodLogOptions{TailLines: &one})
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	// The pieces of a long line have timestamps of their own, of which a stream
	// brings the first only.
	if known && last > q.latest && last != q.following.behind {
		q.following.behind = last
		q.cancel(errBehind)
		return
	}
	q.after = min(2*q.after, longestQuiet)
	q.timer.Reset(q.after)
}

// stop ends the watch; nothing of it runs any more then.
func (q *quiet) stop() {
	q.mu.Lock()
	q.stopped = true
	q.timer.Stop()
	q.mu.Unlock()
	q.cancel(nil)
	q.asking.Wait()
}
