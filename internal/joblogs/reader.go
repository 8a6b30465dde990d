package joblogs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/fairshare"
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
	// jobBuffers is what the texts of one Job's logs may hold in memory, in bytes,
	// divided equally between its containers. What is longer is compressed.
	jobBuffers = 4 << 20
	// minBuffer and maxBuffer bound a container's part of it. No results object
	// shows more text than maxBuffer.
	minBuffer = 1 << 10
	maxBuffer = api.MaxResultsBytes
)

// Options bound a Reader. The zero value means the defaults.
type Options struct {
	// IdleTimeout is how long a stream may bring no byte, from the request on.
	IdleTimeout time.Duration
	// Streams is how many log streams are open at once, over all Jobs. While more are
	// wanted, the namespace that has fewest open comes next.
	Streams int
	// MemoryBytes is the most that logs hold in memory at once, over all Jobs
	// from their Collect to its release; besides, each open stream has some
	// 100 KiB to work with.
	MemoryBytes int64
	// ResultsBytes is what the results of one Job may take, parts included; 0
	// means api.MaxResultsBytes. MemoryBytes should be four times that at least.
	ResultsBytes int
	// Redact replaces credentials in logs as they are read; nil: none.
	Redact *redact.Set
	// Metrics are told what is read; nil: nobody is.
	Metrics Metrics
	// Clock drives the idle timeout; nil means the real clock.
	Clock clock.WithDelayedExecution
}

// Metrics count what is read.
type Metrics interface {
	// Reading adds to how many logs Collect is reading.
	Reading(more int)
	// WaitingForStream adds to how many logs wait until one more may be read, and
	// WaitingForMemory to how many Jobs, or logs of theirs, wait for memory.
	WaitingForStream(more int)
	WaitingForMemory(more int)
	// Read counts bytes that came from the API server, of any log.
	Read(bytes int)
}

// Reader reads logs. It is safe for concurrent use; its bounds hold over all
// concurrent calls.
type Reader struct {
	streamer LogStreamer
	options  Options
	streams  *fairshare.Pool
	memory   *memory
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
	if opts.ResultsBytes <= 0 {
		opts.ResultsBytes = api.MaxResultsBytes
	}
	if opts.Metrics == nil {
		opts.Metrics = unmeasured{}
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	return &Reader{
		streamer: streamer, options: opts,
		streams: fairshare.New(int64(opts.Streams), fairshare.Options{}),
		memory:  newMemory(opts.MemoryBytes, int64(opts.ResultsBytes)),
	}
}

// Collect reads the logs of pods and returns them in the same order: of every
// container the last instance and, after a restart, the one before it. It
// waits for memory and for streams as the options bound them. A log that
// cannot be read says so in its capture and stops no other. So does one that is
// not read to its end by the deadline of ctx: what there is of it is returned.
//
// release gives the memory of the logs back: call it once the results are
// built and the logs are not used any more. It may be called more than once
// and is never nil. The error is only that ctx was cancelled.
func (r *Reader) Collect(ctx context.Context, pods []*corev1.Pod) (collected []results.Pod, release func(), err error) {
	collected, tasks := assign(pods)
	capacity, held := r.bufferCapacity(len(tasks))
	r.options.Metrics.WaitingForMemory(1)
	memory, err := r.memory.acquire(ctx, namespaceOf(pods), held)
	r.options.Metrics.WaitingForMemory(-1)
	switch {
	case late(err):
		for _, t := range tasks {
			t.log.Capture = outOfTime
		}
		return collected, func() {}, nil
	case err != nil:
		return nil, func() {}, err
	}
	release = sync.OnceFunc(memory.release)

	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(r.options.Streams)
	for _, t := range tasks {
		group.Go(func() error { return r.collectOne(groupCtx, t, memory, int(capacity)) })
	}
	if err := group.Wait(); err != nil {
		release()
		return nil, func() {}, fmt.Errorf("reading logs: %w", err)
	}
	return collected, release, nil
}

// outOfTime is the capture of a log that was not read to its end in time.
var outOfTime = retryable(results.ReasonNotRead, "there was no time left to read all of it")

// late reports whether err is that the deadline of a context has passed.
func late(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// collectOne reads one log as far as that is possible by the deadline of ctx. The
// error is only that ctx was cancelled.
func (r *Reader) collectOne(ctx context.Context, t *task, memory *jobMemory, capacity int) error {
	err := r.readOne(ctx, t, memory, capacity)
	if !late(err) {
		return err
	}
	if !t.log.Capture.Complete {
		t.log.Capture = outOfTime
	}
	return nil
}

// readOne reads one log, again from the start once there is memory for it where
// it is long and there was none. The error is only that ctx ended.
func (r *Reader) readOne(ctx context.Context, t *task, memory *jobMemory, capacity int) error {
	for {
		err := r.tryOne(ctx, t, memory, capacity)
		if !errors.Is(err, errNoMemory) {
			return err
		}
		r.options.Metrics.WaitingForMemory(1)
		err = memory.grow(ctx)
		r.options.Metrics.WaitingForMemory(-1)
		if err != nil {
			return err
		}
	}
}

// tryOne reads one log within the bound on streams. The error is that ctx ended,
// or errNoMemory.
func (r *Reader) tryOne(ctx context.Context, t *task, memory *jobMemory, capacity int) error {
	stream, err := r.awaitStream(ctx, t.pod.Namespace)
	if err != nil {
		return err
	}
	defer stream.Release()
	r.options.Metrics.Reading(1)
	defer r.options.Metrics.Reading(-1)
	read, err := r.read(ctx, t, newSink(newKeeper(capacity, memory, t.failed()), r.options.Redact))
	if err == nil {
		t.log.Text, t.log.Packed, t.log.Capture, t.log.Redacted = read.Text, read.Packed, read.Capture, read.Redacted
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// namespaceOf returns the namespace of the pods of a Job.
func namespaceOf(pods []*corev1.Pod) string {
	if len(pods) == 0 {
		return ""
	}
	return pods[0].Namespace
}

// awaitStream waits until one more log of the namespace may be read. The error is
// that ctx ended.
func (r *Reader) awaitStream(ctx context.Context, namespace string) (*fairshare.Lease, error) {
	r.options.Metrics.WaitingForStream(1)
	defer r.options.Metrics.WaitingForStream(-1)
	stream, err := r.streams.Acquire(ctx, fairshare.Request{Owner: namespace})
	if err != nil {
		return nil, fmt.Errorf("waiting for a log stream: %w", err)
	}
	return stream, nil
}

// bufferCapacity returns how many bytes of text each of so many logs may hold,
// and how much memory that is with what may be stored of it.
func (r *Reader) bufferCapacity(logs int) (each, held int64) {
	n, copies := int64(max(1, logs)), int64(1)
	if r.options.ResultsBytes > api.MaxResultsBytes {
		copies = 2
	}
	each = min(maxBuffer, max(minBuffer, jobBuffers/n), r.memory.shortBytes/n/copies)
	return each, each * int64(logs) * copies
}

// unmeasured are Metrics that tell nobody.
type unmeasured struct{}

func (unmeasured) Reading(int)          {}
func (unmeasured) WaitingForStream(int) {}
func (unmeasured) WaitingForMemory(int) {}
func (unmeasured) Read(int)             {}
