package job

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// largeBytes is the size from which a Job is large. The API server stores Jobs of
	// up to 1.5 MiB. One with 5,000 labels costs it 200 ms of CPU time to patch, and
	// 64 such patches at once keep it from answering other requests within seconds.
	largeBytes = 128 << 10
	// largeWrites is how many large Jobs are written at once.
	largeWrites = 2
	// largeAtWork is how many large Jobs are handled at once, so that workers are left
	// for others while large Jobs wait for their writes.
	largeAtWork = 8
	// wholeReads is how many whole Jobs are read from the API server concurrently. Their
	// size is not known before.
	wholeReads = 8
	// largeAgain is when a large Job is reconciled again that could not be handled.
	largeAgain = 2 * time.Second
)

// large bounds how many large Jobs are handled and written at once. Other Jobs do not
// wait. The zero value is ready.
type large struct {
	once   sync.Once
	atWork chan struct{}
	writes chan struct{}
	reads  chan struct{}
}

func (l *large) init() {
	l.once.Do(func() {
		l.atWork, l.writes = make(chan struct{}, largeAtWork), make(chan struct{}, largeWrites)
		l.reads = make(chan struct{}, wholeReads)
	})
}

// enter reports whether the Job can be handled now, and returns what to call
// afterwards.
func (l *large) enter(job *batchv1.Job) (leave func(), entered bool) {
	if !isLarge(job) {
		return func() {}, true
	}
	l.init()
	select {
	case l.atWork <- struct{}{}:
		return func() { <-l.atWork }, true
	default:
		return nil, false
	}
}

// write waits until the Job can be written, and returns what to call afterwards.
func (l *large) write(ctx context.Context, job *batchv1.Job) (written func(), err error) {
	if !isLarge(job) {
		return func() {}, nil
	}
	l.init()
	return wait(ctx, l.writes)
}

// read waits until a whole Job can be read, and returns what to call once it is not
// needed any more.
func (l *large) read(ctx context.Context) (done func(), err error) {
	l.init()
	return wait(ctx, l.reads)
}

func wait(ctx context.Context, slots chan struct{}) (leave func(), err error) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for other large Jobs: %w", ctx.Err())
	}
}

// isLarge reports whether a Job, which may be pruned, is large on the API server.
func isLarge(job *batchv1.Job) bool {
	return policy.DroppedOf(job).Large || job.Size() > largeBytes
}

// largeLater requeues a large Job behind others.
func largeLater() ctrl.Result {
	return ctrl.Result{RequeueAfter: largeAgain, Priority: new(recheckPriority)}
}
