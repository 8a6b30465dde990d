package capture

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// TestStreams has more logs than may be followed at once: the rest wait for as long
// as their pods are there, and what does not get its turn until then says so.
func TestStreams(t *testing.T) {
	inTime(t, Options{Streams: 2}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		for i := range 4 {
			n.write(name(i)+"/main", "working\n")
			c.Begin(ctx, job, aPod(name(i), "main"), true)
			synctest.Wait()
		}
		n.end(name(0) + "/main")
		synctest.Wait()
		if n.most != 2 || len(n.followed) != 4 {
			t.Errorf("%d streams at once, followed %v", n.most, n.followed)
		}
		for i := range 4 {
			c.Gone(job, aPod(name(i), "main"))
		}
		<-time.After(2 * time.Minute)
		synctest.Wait()
		last := keptOf(t, c, nil)[3][0]
		if last.Capture.Reason != results.ReasonCaptureLimit || c.Following(job) {
			t.Errorf("the last: %+v", last)
		}
	})
}

// TestMemory has 200 pods write 2 MiB each at once, one of them little: what all
// of them hold stays within the bound, what is left of each is its head and its
// tail, and the little one is whole.
func TestMemory(t *testing.T) {
	const pods, limit, line = 200, 16 << 20, 64
	var middle strings.Builder
	for k := range (2 << 20) / line {
		fmt.Fprintf(&middle, "%0*d\n", line-1, k)
	}
	content := func(i int) string { return name(i) + " begins\n" + middle.String() + name(i) + " ends\n" }
	before := heap()
	inTime(t, Options{MemoryBytes: limit}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		for i := range pods {
			c.Begin(ctx, job, aPod(name(i), "main"), true)
		}
		synctest.Wait()
		n.write(name(0)+"/main", "little\n")
		for i := 1; i < pods; i++ {
			log := name(i) + "/main"
			n.write(log, content(i))
			n.end(log)
			synctest.Wait()
			n.change(log, func(w *written) { w.text = "" })
			if c.memory.used > limit {
				t.Fatalf("%d bytes in use after %d pods", c.memory.used, i)
			}
		}
		n.end(name(0) + "/main")
		synctest.Wait()
		// Streams have buffers of their own.
		if grown := heap() - before; grown > 2*limit {
			t.Errorf("the heap has grown by %d bytes, with %d in use", grown, c.memory.used)
		}
		captured, release := c.Of(job)
		defer release()
		for i, one := range captured {
			text := one.logs[0].text.Text
			if i == 0 {
				if string(text.Head()) != "little\n" {
					t.Errorf("the little one is %q", text.Head())
				}
				continue
			}
			all := content(i)
			if text.Seen() != int64(len(all)) || text.Kept() < 20<<10 ||
				!strings.HasPrefix(all, string(text.Head())) || !strings.HasSuffix(all, string(text.Tail())) {
				t.Fatalf("pod %d: %d bytes seen, %d kept", i, text.Seen(), text.Kept())
			}
			if packed := one.logs[0].text.Longer(); packed.Excerpt().Kept()+packed.Excerpt().OmittedBytes != text.Seen() {
				t.Fatalf("pod %d: %+v compressed of %d bytes", i, packed.Excerpt(), text.Seen())
			}
		}
	})
}

// heap returns the bytes that are in use.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestPinned has texts that are read stay as they are while memory runs short.
func TestPinned(t *testing.T) {
	m := newMemory(4 << 20)
	read := m.open("batch")
	_, _ = read.Write([]byte(strings.Repeat("x", 100<<10)))
	read.pin()
	if _, err := read.Write([]byte("more")); err == nil {
		t.Error("something was added")
	}
	for range 20 {
		_, _ = m.open("batch").Write([]byte(strings.Repeat("y", 200<<10)))
	}
	if m.used > m.limit || read.Text.Kept() != 100<<10 || !read.Text.Whole() {
		t.Errorf("%d bytes in use, %d kept of what is read", m.used, read.Text.Kept())
	}
	read.drop()
	used := m.used
	read.unpin()
	if m.used >= used {
		t.Error("memory is not given back")
	}
	var none *text
	none.pin()
	none.unpin()
	none.drop()
	if none.seen() != 0 {
		t.Error("nothing has seen something")
	}
}

// TestPods bounds how many pods are kept, of one Job and of all; those that are
// followed are not dropped.
func TestPods(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, _ *node, c *Captures) {
		c.Begin(ctx, job, aPod("followed", "main"), true)
		for i := range maxPodsOfJob + 10 {
			c.Gone(job, aPod(name(i), "main"))
		}
		kept := c.Pods(job)
		if len(kept) != maxPodsOfJob || kept[0] != "uid-of-followed" || kept[1] != types.UID("uid-of-"+name(11)) {
			t.Errorf("%d pods are kept, from %s, %s on", len(kept), kept[0], kept[1])
		}
		for j := range maxPods / maxPodsOfJob {
			for i := range maxPodsOfJob {
				c.Gone(types.UID(name(j)), aPod(name(j)+name(i), "main"))
			}
		}
		c.Gone("small", aPod("small", "main"))
		all := 0
		for _, pods := range c.jobs {
			all += len(pods)
		}
		if all != maxPods || c.pods != maxPods || len(c.Pods("small")) != 1 {
			t.Errorf("%d pods are kept, %d counted", all, c.pods)
		}
	})
}

// TestNoRoom has nothing but followed pods.
func TestNoRoom(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, _ *node, c *Captures) {
		for i := range maxPodsOfJob {
			c.Begin(ctx, job, aPod(name(i), "main"), true)
		}
		c.Begin(ctx, job, aPod("more", "main"), true)
		if len(c.Pods(job)) != maxPodsOfJob {
			t.Errorf("%d pods", len(c.Pods(job)))
		}
		c.Forget(job)
	})
}

// BenchmarkCaptures follows 200 logs of 256 KiB at once.
func BenchmarkCaptures(b *testing.B) {
	const pods, size = 200, 256 << 10
	n := newNode()
	for i := range pods {
		n.write(name(i)+"/main", strings.Repeat("0123456789abcde\n", size/16))
		n.end(name(i) + "/main")
	}
	c := New(joblogs.NewReader(n, joblogs.Options{}), Options{})
	b.SetBytes(pods * size)
	b.ReportAllocs()
	for b.Loop() {
		for i := range pods {
			c.Begin(b.Context(), job, aPod(name(i), "main"), true)
		}
		c.following.Wait()
		c.Forget(job)
	}
	b.ReportMetric(float64(c.memory.limit), "limit-bytes")
}
