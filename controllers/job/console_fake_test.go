package job_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/results"
)

var _ joblogs.LogStreamer = &console{}

// console is what containers write, by their pod, while they are followed.
type console struct {
	mu       sync.Mutex
	written  map[string]string
	ended    map[string]bool
	more     chan struct{}
	followed []string
	open     int
}

// newConsole returns a console and captures that read from it.
func newConsole(opts capture.Options) (*console, *capture.Captures) {
	c := &console{written: map[string]string{}, ended: map[string]bool{}, more: make(chan struct{})}
	return c, capture.New(joblogs.NewReader(c, joblogs.Options{}), opts)
}

// captures returns captures that read from the console.
func (c *console) captures() *capture.Captures {
	return capture.New(joblogs.NewReader(c, joblogs.Options{}), capture.Options{})
}

// stepped is a clock that is stepped, but for what it drives.
type stepped struct {
	clock.RealClock
	*clocktesting.FakePassiveClock
}

// Now implements clock.PassiveClock.
func (s stepped) Now() time.Time { return s.FakePassiveClock.Now() }

// Since implements clock.PassiveClock.
func (s stepped) Since(t time.Time) time.Duration { return s.FakePassiveClock.Since(t) }

// capturesAt returns captures that read from the console, by this clock, with so
// much memory; 0 means the default.
func capturesAt(from *console, now *clocktesting.FakePassiveClock, memory int) *capture.Captures {
	opts := capture.Options{MemoryBytes: memory, Clock: stepped{FakePassiveClock: now}}
	return capture.New(joblogs.NewReader(from, joblogs.Options{}), opts)
}

// write has the container of a pod write.
func (c *console) write(pod, text string) { c.change(func() { c.written[pod] += text }) }

// end has the container of a pod end.
func (c *console) end(pod string) { c.change(func() { c.ended[pod] = true }) }

func (c *console) change(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.more)
	c.more = make(chan struct{})
}

// follows returns the pods that were asked for, in order.
func (c *console) follows() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.followed)
}

// streams returns how many streams are open.
func (c *console) streams() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// OpenLog implements joblogs.LogStreamer.
func (c *console) OpenLog(ctx context.Context, _, pod string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !opts.Follow {
		return io.NopCloser(strings.NewReader(c.written[pod])), nil
	}
	c.followed = append(c.followed, pod)
	c.open++
	return &screen{console: c, done: ctx.Done(), pod: pod}, nil
}

type screen struct {
	console *console
	done    <-chan struct{}
	pod     string
	// sent is how much of the text was, next what is sent next with timestamps.
	sent    int
	next    []byte
	stamper jobtest.Stamper
}

// Read implements io.Reader.
func (s *screen) Read(p []byte) (int, error) {
	for {
		s.console.mu.Lock()
		text, ended, more := s.console.written[s.pod], s.console.ended[s.pod], s.console.more
		s.console.mu.Unlock()
		s.next = s.stamper.Append(s.next, text[s.sent:])
		s.sent = len(text)
		switch {
		case len(s.next) > 0:
			size := copy(p, s.next)
			s.next = s.next[size:]
			return size, nil
		case ended:
			return 0, io.EOF
		}
		select {
		case <-more:
		case <-s.done:
			return 0, context.Canceled
		}
	}
}

// Close implements io.Closer.
func (s *screen) Close() error {
	s.console.mu.Lock()
	defer s.console.mu.Unlock()
	s.console.open--
	return nil
}

// lostIn returns of how many pods what was captured is lost.
func lostIn(record results.Record) int {
	lost := 0
	for _, pod := range record.Pods {
		for _, container := range pod.Containers {
			if container.Capture.Reason == results.ReasonCaptureLost {
				lost++
			}
		}
	}
	return lost
}

// podsIn returns how many pods an object keeps.
func podsIn(stored *corev1.ConfigMap) int {
	GinkgoHelper()
	text, err := gzip.NewReader(bytes.NewReader(stored.BinaryData[capture.PodsKey]))
	Expect(err).NotTo(HaveOccurred())
	pods := 0
	for decoder := json.NewDecoder(text); ; pods++ {
		var pod any
		if errors.Is(decoder.Decode(&pod), io.EOF) {
			return pods
		}
	}
}
