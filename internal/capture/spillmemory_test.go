package capture

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// memoryFor returns how much memory there has to be for so much text.
func memoryFor(text int) int { return text * 8 / 3 }

// TestReleased has memory run short when logs are stored: those go, before any is
// cut, and are whole again with what was stored.
func TestReleased(t *testing.T) {
	const limit = 4 << 20
	inTime(t, Options{MemoryBytes: memoryFor(limit)}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		text := func(i int) string { return strings.Repeat(name(i)+" writes\n", 20_000) }
		for i := range 3 {
			capture(ctx, n, c, name(i), text(i))
		}
		before := keptOf(t, c, nil)
		objects := packAll(t, c, 1<<20)
		if c.OnlyStored(job) || c.memory.short() {
			t.Error("nothing was given up yet")
		}
		for i := range 6 {
			other := aPod("other"+name(i), "main")
			n.write(other.Name+"/main", text(i))
			c.Begin(ctx, "another", other, true)
			synctest.Wait()
		}
		if !c.OnlyStored(job) || c.OnlyStored("another") {
			t.Error("nothing was given up")
		}
		if stats := c.Stats(); stats.Cut != 0 || len(n.followed) != 2*3+6 || stats.MemoryBytes > limit {
			t.Errorf("%+v", stats)
		}
		captured, release := c.Of(job)
		defer release()
		// They are equally long: any of them may have gone first.
		lost := 0
		for _, one := range captured {
			switch got := one.Logs(nil)[0]; {
			case got.Capture.Reason == results.ReasonCaptureLost && got.Text.Kept() == 0 && got.Text.Seen() == int64(len(text(0))):
				lost++
			case !got.Capture.Complete:
				t.Errorf("without what is stored: %+v", got)
			}
		}
		if lost == 0 {
			t.Error("without what is stored nothing is lost")
		}
		all, releaseAll := mustRestore(t, c, objects...).With(captured)
		defer releaseAll()
		if diff := cmp.Diff(before, keptIn(all, nil)); diff != "" {
			t.Errorf("with what is stored (-want +got):\n%s", diff)
		}
		c.Forget(job)
		if c.OnlyStored(job) {
			t.Error("it is not forgotten")
		}
	})
}

// TestPressure has a pod be due at once when memory runs short.
func TestPressure(t *testing.T) {
	inTime(t, Options{MemoryBytes: memoryFor(4 << 20)}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		for i := range 20 {
			capture(ctx, n, c, name(i), string(noise(100<<10)))
			if due, _ := c.Due(); len(due) > 0 {
				if i < 5 || i > 15 {
					t.Errorf("short with %d bytes in use", c.memory.used)
				}
				c.Await(ctx, 0)
				packAll(t, c, 1<<20)
				if due, next := c.Due(); len(due) > 0 || next != 0 || c.memory.short() {
					t.Errorf("due after it was stored: %v, %s", due, next)
				}
				return
			}
		}
		t.Error("nothing is due")
	})
}

// TestSpillMemory has 200 pods with a log of 512 KiB each end at once: what is held
// stays within the bound all the time, also while they are packed and restored.
func TestSpillMemory(t *testing.T) {
	const pods, limit, size = 200, 32 << 20, 512 << 10
	before := heap()
	inTime(t, Options{MemoryBytes: limit}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		text := strings.Repeat("a line of a log, and \n", size/20)[:size]
		var most int64
		look := func(what string) {
			if c.memory.used > c.memory.limit {
				t.Fatalf("%d bytes in use %s", c.memory.used, what)
			}
		}
		var objects []map[string][]byte
		for i := range pods {
			capture(ctx, n, c, name(i), text)
			n.change(name(i)+"/main", func(w *written) { w.text = "" })
			look("after a pod")
			if due, _ := c.Due(); len(due) == 0 {
				continue
			}
			b := mustPack(t, c, PackOptions{Due: true, MaxBytes: api.MaxResultsBytes})
			look("with a batch")
			// Kept where they take no memory of the process: one of each.
			if len(objects) < 2 {
				objects = append(objects, b.Values)
			}
			b.Stored()
			b.Release()
			if i%20 == 0 {
				most = max(most, heap()-before)
			}
		}
		if most > 2*limit {
			t.Errorf("the heap grew by %d bytes", most)
		}
		if stats := c.Stats(); stats.Cut != 0 {
			t.Errorf("%d logs were cut, though they could be stored", stats.Cut)
		}
		r := c.Restore(namespace, job)
		defer r.Release()
		for _, values := range objects {
			if err := r.Add(values); err != nil {
				t.Fatal(err)
			}
			look("with what was restored")
		}
	})
}

// noise returns text that is hard to compress.
func noise(size int) []byte {
	text := make([]byte, size)
	state := uint32(1)
	for i := range text {
		state = state*1664525 + 1013904223
		text[i] = byte(state >> 24)
		if i%80 == 79 {
			text[i] = '\n'
		}
	}
	return text
}

// BenchmarkSpill packs 200 logs of 256 KiB.
func BenchmarkSpill(b *testing.B) {
	const pods, size = 200, 256 << 10
	n := newNode()
	c := New(joblogs.NewReader(n, joblogs.Options{}), Options{MemoryBytes: 256 << 20})
	for i := range pods {
		n.write(name(i)+"/main", strings.Repeat("0123456789abcde\n", size/16))
		n.end(name(i) + "/main")
		c.Begin(b.Context(), job, ours(aPod(name(i), "main")), true)
	}
	c.following.Wait()
	b.SetBytes(pods * size)
	b.ReportAllocs()
	for b.Loop() {
		for {
			batch, ok, err := c.Pack(job, PackOptions{MaxBytes: api.MaxResultsBytes})
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
			for _, packed := range batch.packed {
				packed.pod.stored = true
			}
			batch.Release()
		}
		for _, p := range c.jobs[job] {
			p.stored = false
		}
	}
}
