package joblogs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/job-handler/job-handler/internal/fairshare"
	"github.com/job-handler/job-handler/internal/logpack"
)

const (
	// resultsBuffers is how many times what results may take is held in memory for
	// a Job with a long log: its logs compressed, and what is stored of them.
	resultsBuffers = 2
	// longLogsShare is the part of all memory that is for long logs at least.
	longLogsShare = 4
)

// errNoMemory ends the reading of a log that is longer than its buffer while
// other Jobs have the memory for long logs.
var errNoMemory = errors.New("no memory for a long log yet")

// memory bounds what logs hold, over all Jobs. Most logs are short: every Job
// has a little for each of its logs, and one that turns out to have a long log
// gets what all that is stored of a Job can take. Who holds that waits for no
// more memory, so that waiting ends. Jobs that wait are served in turn by namespace.
type memory struct {
	short, long *fairshare.Pool
	// shortBytes and longBytes are their sizes.
	shortBytes, longBytes int64
	// resultsBytes is what the results of a Job may take.
	resultsBytes int64
}

func newMemory(all, resultsBytes int64) *memory {
	long := max(all/longLogsShare, resultsBuffers*resultsBytes)
	short := max(1, all-long)
	return &memory{
		short: fairshare.New(short, fairshare.Options{}), long: fairshare.New(long, fairshare.Options{}),
		shortBytes: short, longBytes: long, resultsBytes: resultsBytes,
	}
}

// jobMemory is what the logs of one Job hold.
type jobMemory struct {
	*memory
	namespace string
	held      *fairshare.Lease
	pool      *logpack.Pool

	mu sync.Mutex
	// grown is what the Job has for long logs, nil while it has nothing.
	grown *fairshare.Lease
}

// acquire waits for the memory that every Job of a namespace needs, held bytes.
func (m *memory) acquire(ctx context.Context, namespace string, held int64) (*jobMemory, error) {
	lease, err := m.short.Acquire(ctx, fairshare.Request{Owner: namespace, Size: held})
	if err != nil {
		return nil, fmt.Errorf("waiting for memory for logs: %w", err)
	}
	return &jobMemory{memory: m, namespace: namespace, held: lease, pool: logpack.NewPool(int(m.resultsBytes))}, nil
}

// forLong is the request of the Job for memory for long logs.
func (j *jobMemory) forLong() fairshare.Request {
	return fairshare.Request{Owner: j.namespace, Size: resultsBuffers * j.resultsBytes}
}

// tryGrow reports whether the Job has memory for long logs, if there is some
// just now. It never waits: who calls it has a stream open.
func (j *jobMemory) tryGrow() bool {
	if !j.mu.TryLock() {
		return false
	}
	defer j.mu.Unlock()
	if j.grown == nil {
		j.grown = j.long.TryAcquire(j.forLong())
	}
	return j.grown != nil
}

// grow waits for memory for long logs, once for the Job.
func (j *jobMemory) grow(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.grown != nil {
		return nil
	}
	grown, err := j.long.Acquire(ctx, j.forLong())
	if err != nil {
		return fmt.Errorf("waiting for memory for a long log: %w", err)
	}
	j.grown = grown
	return nil
}

func (j *jobMemory) release() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.held.Release()
	if j.grown != nil {
		j.grown.Release()
	}
}
