package pager

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// page waits for the gate in a goroutine, and says when it is let in.
type page struct {
	namespace string
	in        bool
	leave     func()
	err       error
}

func enter(ctx context.Context, g *Gate, namespace string, bytes int) *page {
	p := &page{namespace: namespace}
	go func() {
		p.leave, p.err = g.enter(ctx, namespace, bytes)
		p.in = p.err == nil
	}()
	synctest.Wait()
	return p
}

func TestGateIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(2)
		var busy []*page
		for range 20 {
			busy = append(busy, enter(t.Context(), g, "busy", 1))
		}
		other := enter(t.Context(), g, "other", 1)
		if !busy[1].in || busy[2].in || other.in {
			t.Fatal("the first two are not in alone")
		}
		busy[0].leave()
		synctest.Wait()
		if other.in || !busy[2].in {
			t.Fatal("the namespace whose turn it is does not come first")
		}
		busy[1].leave()
		synctest.Wait()
		if !other.in {
			t.Fatal("another namespace waits behind all pages of a busy one")
		}
		for _, p := range append([]*page{other}, busy[2:]...) {
			synctest.Wait()
			if !p.in {
				t.Fatal("a page was left behind")
			}
			p.leave()
		}
	})
}

// A page for which there is no room yet is not passed by others for ever, and one that
// is larger than the gate waits for all of it.
func TestGateLetsLargePagesIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(4)
		small := enter(t.Context(), g, "a", 1)
		large := enter(t.Context(), g, "b", 99)
		behind := enter(t.Context(), g, "c", 1)
		if large.in || behind.in {
			t.Fatal("more is in than there is room for")
		}
		small.leave()
		synctest.Wait()
		if !large.in || behind.in {
			t.Fatal("the large page is not in alone")
		}
		large.leave()
		synctest.Wait()
		if !behind.in {
			t.Fatal("a page was left behind")
		}
		behind.leave()
	})
}

func TestGateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(2)
		first := enter(t.Context(), g, "a", 1)
		ctx, cancel := context.WithCancel(t.Context())
		large := enter(ctx, g, "b", 2)
		behind := enter(t.Context(), g, "c", 1)
		cancel()
		synctest.Wait()
		if large.err == nil || !behind.in {
			t.Fatalf("%v, behind is in: %t", large.err, behind.in)
		}
		first.leave()
		behind.leave()
		if g.free != g.total || len(g.lines) > 0 || len(g.turns) > 0 {
			t.Errorf("%+v", g)
		}
	})
}

func TestNoGate(t *testing.T) {
	var g *Gate
	leave, err := g.enter(t.Context(), "a", 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	leave()
}

// Whatever comes and goes: no more is in than there is room for, nobody waits while
// nothing is in, and in the end nothing is left.
func TestGateProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 11), 1, 60).Draw(rt, "steps")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 12), 60, 60).Draw(rt, "sizes")
		problem := ""
		synctest.Test(t, func(t *testing.T) { problem = play(t.Context(), steps, sizes) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func play(ctx context.Context, steps, sizes []int) (problem string) {
	const total = 10
	g := NewGate(total)
	type entry struct {
		*page
		bytes  int
		cancel context.CancelFunc
	}
	var all []entry
	check := func() {
		synctest.Wait()
		in := 0
		for _, e := range all {
			if e.in {
				in += e.bytes
			}
		}
		waits := slices.ContainsFunc(all, func(e entry) bool { return !e.in && e.err == nil })
		if in > total || waits && in == 0 {
			problem = "too much is in, or nothing while others wait"
		}
	}
	drop := func(i int) {
		if all[i].in {
			all[i].leave()
		}
		all[i].cancel()
		all = slices.Delete(all, i, i+1)
		check()
	}
	for i, step := range steps {
		if step >= 6 && len(all) > 0 {
			drop(step % len(all))
			continue
		}
		within, cancel := context.WithCancel(ctx)
		all = append(all, entry{enter(within, g, string(rune('a'+step%3)), sizes[i]), min(sizes[i], total), cancel})
		check()
	}
	for len(all) > 0 {
		drop(0)
	}
	if g.free != total || len(g.lines) > 0 || len(g.turns) > 0 {
		problem = "something is left"
	}
	return problem
}
