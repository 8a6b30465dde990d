package joblogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
)

// errStalled ends a stream that brought no byte for the idle timeout.
var errStalled = errors.New("no byte for the idle timeout")

const copyBuffer = 32 << 10

// copyBuffers holds *[copyBuffer]byte.
var copyBuffers sync.Pool

// stream copies the log that opts select of t's instance to dst. It ends with
// the log, an error, or errStalled.
func (r *Reader) stream(ctx context.Context, t *task, opts corev1.PodLogOptions, dst io.Writer) error {
	opts.Container, opts.Previous = t.container, t.previous
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := r.options.Clock.AfterFunc(r.options.IdleTimeout, func() { cancel(errStalled) })
	defer timer.Stop()

	err := r.copyLog(ctx, t, &opts, watchdog{dst, timer, r.options.IdleTimeout})
	if errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}

func (r *Reader) copyLog(ctx context.Context, t *task, opts *corev1.PodLogOptions, dst io.Writer) error {
	body, err := r.streamer.OpenLog(ctx, t.pod.Namespace, t.pod.Name, opts)
	if err != nil {
		return fmt.Errorf("opening log: %w", err)
	}
	closeBody := sync.OnceFunc(func() { _ = body.Close() })
	defer closeBody()
	// A stream that does not heed ctx ends when it is closed.
	defer context.AfterFunc(ctx, closeBody)()

	buffer, pooled := copyBuffers.Get().(*[copyBuffer]byte)
	if !pooled {
		buffer = new([copyBuffer]byte)
	}
	defer copyBuffers.Put(buffer)
	if _, err := io.CopyBuffer(dst, countedReader{body, r.options.Metrics}, buffer[:]); err != nil {
		return fmt.Errorf("reading log: %w", err)
	}
	return nil
}

// watchdog puts the idle timeout off with every byte that it writes on.
type watchdog struct {
	dst     io.Writer
	timer   clock.Timer
	timeout time.Duration
}

// Write implements io.Writer.
func (w watchdog) Write(p []byte) (int, error) {
	if len(p) > 0 {
		w.timer.Reset(w.timeout)
	}
	return w.dst.Write(p)
}

// countedReader counts what it reads. It hides WriteTo, so that the copy goes
// through our buffer.
type countedReader struct {
	from    io.Reader
	metrics Metrics
}

// Read implements io.Reader.
func (r countedReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.metrics.Read(n)
	return n, err
}
