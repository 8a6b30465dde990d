package joblogs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// Defaults of Options.
const (
	DefaultIdleTimeout = 15 * time.Second
	DefaultStreams     = 64
	DefaultMemoryBytes = 128 << 20
)

const (
	// jobMemory is what the logs of one Job may hold in memory, in bytes,
	// divided equally between its containers.
	jobMemory = 4 << 20
	// minBuffer and maxBuffer bound a container's part of it. No results
	// object can hold more of one log than maxBuffer.
	minBuffer = 1 << 10
	maxBuffer = api.MaxResultsBytes
)

// Options bound a Reader. The zero value means the defaults.
type Options struct {
	// IdleTimeout is how long a stream may bring no byte, from the request on.
	IdleTimeout time.Duration
	// Streams is how many log streams are open at once, over all Jobs.
	Streams int
	// MemoryBytes is the most that logs hold in memory at once, over all Jobs
	// from their Collect to its release; besides, each open stream has some
	// 100 KiB to work with.
	MemoryBytes int64
	// Redact replaces credentials in logs as they are read; nil: none.
	Redact *redact.Set
	// Clock drives the idle timeout; nil means the real clock.
	Clock clock.WithDelayedExecution
}

// Reader reads logs. It is safe for concurrent use; its bounds hold over all
// concurrent calls.
type Reader struct {
	streamer LogStreamer
	options  Options
	streams  *semaphore.Weighted
	memory   *semaphore.Weighted
}

// NewReader returns a Reader of streamer. Options of 0 or less mean the
// defaults.
func NewReader(streamer LogStreamer, opts Options) *Reader {
	if opts.IdleTimeout <= 0 {
		opts.IdleTimeout = DefaultIdleTimeout
	}
	if opts.Streams <= 0 {
		opts.Streams = DefaultStreams
	}
	if opts.MemoryBytes <= 0 {
		opts.MemoryBytes = DefaultMemoryBytes
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	return &Reader{
		streamer: streamer, options: opts,
		streams: semaphore.NewWeighted(int64(opts.Streams)),
		memory:  semaphore.NewWeighted(opts.MemoryBytes),
	}
}

// Collect reads the logs of pods and returns them in the same order: of every
// container the last instance and, after a restart, the one before it. It
// waits for memory and for streams as the options bound them. A log that
// cannot be read says so in its capture and stops no other.
//
// release gives the memory of the logs back: call it once the results are
// built and the logs are not used any more. It may be called more than once
// and is never nil. The error is only that ctx ended.
func (r *Reader) Collect(ctx context.Context, pods []*corev1.Pod) (collected []results.Pod, release func(), err error) {
	collected, tasks := assign(pods)
	capacity := bufferCapacity(len(tasks), r.options.MemoryBytes)
	memory := capacity * int64(len(tasks))
	if err := r.memory.Acquire(ctx, memory); err != nil {
		return nil, func() {}, fmt.Errorf("waiting for memory for logs: %w", err)
	}
	release = sync.OnceFunc(func() { r.memory.Release(memory) })

	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(r.options.Streams)
	for _, t := range tasks {
		group.Go(func() error { return r.collectOne(groupCtx, t, int(capacity)) })
	}
	if err := group.Wait(); err != nil {
		release()
		return nil, func() {}, fmt.Errorf("reading logs: %w", err)
	}
	return collected, release, nil
}

// collectOne reads one log within the bound on streams. The error is only that
// ctx ended.
func (r *Reader) collectOne(ctx context.Context, t *task, capacity int) error {
	if err := r.streams.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for a log stream: %w", err)
	}
	defer r.streams.Release(1)
	read := r.read(ctx, t, capacity)
	if err := ctx.Err(); err != nil {
		return err
	}
	t.log.Text, t.log.Capture, t.log.Redacted = read.Text, read.Capture, read.Redacted
	return nil
}

// bufferCapacity returns how many bytes each of so many logs may hold.
func bufferCapacity(logs int, memory int64) int64 {
	each := min(maxBuffer, max(minBuffer, jobMemory/int64(max(1, logs))))
	return min(each, memory/int64(max(1, logs)))
}
