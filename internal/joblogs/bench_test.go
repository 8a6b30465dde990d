package joblogs

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// BenchmarkWays reads one log without timestamps, as Collect does, and with them, as
// ReadLife does: text per second, bytes from the API server for each byte of text, and
// requests.
func BenchmarkWays(b *testing.B) {
	for _, size := range []int{2 << 10, 1 << 20, 10 << 20} {
		for _, line := range []int{20, 120, 2000} {
			wire := newWire(size, line)
			for way, read := range map[string]func(context.Context, *Reader, *keeper) bool{"plain": readPlain, "stamped": readStamped} {
				b.Run(fmt.Sprintf("way=%s/log=%dKi/line=%d", way, size>>10, line), func(b *testing.B) {
					reader := NewReader(wire, Options{Metrics: wire})
					wire.requests, wire.bytes = 0, 0
					b.SetBytes(int64(len(wire.plain)))
					b.ReportAllocs()
					for b.Loop() {
						memory, err := reader.memory.acquire(b.Context(), "batch", 0)
						if err != nil {
							b.Fatal(err)
						}
						if !read(b.Context(), reader, newKeeper(maxBuffer, memory, false)) {
							b.Fatal("not complete")
						}
						memory.release()
					}
					b.ReportMetric(float64(wire.bytes)/float64(b.N)/float64(len(wire.plain)), "wire/text")
					b.ReportMetric(float64(wire.requests)/float64(b.N), "requests")
				})
			}
		}
	}
}

func readPlain(ctx context.Context, r *Reader, into *keeper) bool {
	_, tasks := assign([]*corev1.Pod{podWith(exited("c"))})
	read, err := r.read(ctx, tasks[0], newSink(into, nil))
	return err == nil && read.Capture.Complete
}

func readStamped(ctx context.Context, r *Reader, into *keeper) bool {
	read := r.ReadLife(ctx, LogsOf(podWith(exited("c")))[0], Span{}, into)
	into.close()
	return read.Capture.Complete
}

// wire is a LogStreamer of one log with lines of one length, and counts what it sends.
type wire struct {
	unmeasured
	plain, stamped, plainEnd, stampedEnd string
	requests, bytes                      int
}

func newWire(size, length int) *wire {
	w := &wire{}
	var plain, stamped strings.Builder
	began := ended().Terminated.StartedAt.Time
	var lines, stampedLines []string
	for i := 0; plain.Len() < size; i++ {
		line := fmt.Sprintf("%-*d\n", length-1, i)
		line = line[:length-1] + "\n"
		lines, stampedLines = append(lines, line), append(stampedLines, began.Add(time.Duration(i)*time.Microsecond+1).Format(kubeletStamp)+" "+line)
		plain.WriteString(line)
		stamped.WriteString(stampedLines[i])
	}
	end := max(0, len(lines)-verifyLines)
	w.plain, w.stamped = plain.String(), stamped.String()
	w.plainEnd, w.stampedEnd = strings.Join(lines[end:], ""), strings.Join(stampedLines[end:], "")
	return w
}

// OpenLog implements LogStreamer.
func (w *wire) OpenLog(_ context.Context, _, _ string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	w.requests++
	text := w.plain
	switch {
	case opts.TailLines != nil && opts.Timestamps:
		text = w.stampedEnd
	case opts.TailLines != nil:
		text = w.plainEnd
	case opts.Timestamps:
		text = w.stamped
	}
	if opts.LimitBytes != nil {
		text = text[:min(len(text), int(*opts.LimitBytes))]
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// Read implements Metrics.
func (w *wire) Read(bytes int) { w.bytes += bytes }
