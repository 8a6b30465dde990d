package fairshare

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
)

// steps is a clock that is stepped. What it drives runs at the next step: with the
// FakeClock it would with that one's lock held.
type steps struct {
	*clocktesting.FakeClock
	later []func()
}

func newSteps() *steps { return &steps{FakeClock: clocktesting.NewFakeClock(time.Unix(1_000_000, 0))} }

// AfterFunc implements clock.WithDelayedExecution.
func (s *steps) AfterFunc(d time.Duration, f func()) clock.Timer {
	s.later = append(s.later, f)
	return s.NewTimer(d)
}

// Step moves the time on.
func (s *steps) Step(d time.Duration) {
	s.FakeClock.Step(d)
	later := s.later
	s.later = nil
	for _, f := range later {
		f()
	}
}

// model drives a Pool step by step: what Acquire waits for is looked at.
type model struct {
	t     *rapid.T
	pool  *Pool
	clock *steps
	names []string
	// waits are the requests that wait, held what was granted, each by its owner.
	waits map[*request]string
	held  []*Lease
}

func (m *model) ask(name string, size int64, urgent bool) {
	r := &request{size: min(size, m.pool.size), urgent: urgent, granted: make(chan *Lease, 1)}
	m.waits[r] = name
	m.pool.enqueue(name, r)
	m.collect()
}

// collect takes what was granted.
func (m *model) collect() {
	for r := range m.waits {
		select {
		case l := <-r.granted:
			delete(m.waits, r)
			m.held = append(m.held, l)
		default:
		}
	}
}

func (m *model) release(i int) {
	l := m.held[i]
	m.held = append(m.held[:i:i], m.held[i+1:]...)
	l.Release()
	l.Release()
	m.collect()
}

// some returns any key of a map, so that rapid need not know an order.
func some[K comparable, V any](of map[K]V) K {
	for k := range of {
		return k
	}
	panic("none")
}

// settle has every lease that was called back be released and asked for again, as
// who follows a log does, until none is.
func (m *model) settle() {
	for steps := 0; ; steps++ {
		if steps > 10*int(m.pool.size)+100 {
			m.t.Fatalf("leases are called back for ever")
		}
		called := -1
		for i, l := range m.held {
			if closed(l.CalledBack()) {
				called = i
			}
		}
		if called < 0 {
			return
		}
		l := m.held[called]
		m.release(called)
		m.ask(l.owner.name, l.size, false)
	}
}

// check holds what is always true.
func (m *model) check(settled bool) {
	var used int64
	by := map[string]int64{}
	active := map[string]bool{}
	for _, l := range m.held {
		used += l.size
		by[l.owner.name] += l.size
		active[l.owner.name] = true
	}
	if used != m.pool.used || used > m.pool.size {
		m.t.Fatalf("%d in use of %d, %d counted", used, m.pool.size, m.pool.used)
	}
	for _, name := range m.waits {
		active[name] = true
	}
	if len(m.waits) != m.pool.waiting || len(active) != len(m.pool.owners) {
		m.t.Fatalf("%d wait of %d owners, counted %d of %d", len(m.waits), len(active), m.pool.waiting, len(m.pool.owners))
	}
	if len(m.waits) > 0 && used+m.pool.next().first().size <= m.pool.size {
		m.t.Fatalf("%d wait though %d of %d are in use", len(m.waits), used, m.pool.size)
	}
	if !settled || len(m.waits) == 0 {
		return
	}
	share := max(1, m.pool.size/int64(len(active)))
	for _, name := range m.waits {
		for other, has := range by {
			if by[name] < share && has > share {
				m.t.Fatalf("%s has %d and waits, %s has %d, the share is %d", name, by[name], other, has, share)
			}
		}
	}
}

// finish gives back all there is.
func (m *model) finish() {
	for r, name := range m.waits {
		m.pool.withdraw(name, r)
		delete(m.waits, r)
		m.collect()
	}
	for len(m.held) > 0 {
		m.release(0)
	}
	if p := m.pool; p.used != 0 || p.called != 0 || p.waiting != 0 || len(p.owners) != 0 {
		m.t.Fatalf("left: %d in use, %d called back, %d waiting, %d owners", p.used, p.called, p.waiting, len(p.owners))
	}
}

func newModel(t *rapid.T, opts Options) *model {
	fake := newSteps()
	opts.Clock = fake
	return &model{
		t: t, clock: fake, names: []string{"a", "b", "c", "d", "e", "f", "g"}, waits: map[*request]string{},
		pool: New(rapid.Int64Range(1, 12).Draw(t, "size"), opts),
	}
}

// run does random things, with requests of up to this size.
func (m *model) run(largest int64) {
	for range rapid.IntRange(1, 80).Draw(m.t, "steps") {
		switch rapid.IntRange(0, 6).Draw(m.t, "what") {
		case 0, 1, 2:
			m.ask(rapid.SampledFrom(m.names).Draw(m.t, "owner"), rapid.Int64Range(1, largest).Draw(m.t, "size"), rapid.IntRange(0, 4).Draw(m.t, "urgent") == 0)
		case 3:
			if len(m.held) > 0 {
				m.release(rapid.IntRange(0, len(m.held)-1).Draw(m.t, "lease"))
			}
		case 4:
			if len(m.waits) > 0 {
				r := some(m.waits)
				m.pool.withdraw(m.waits[r], r)
				delete(m.waits, r)
				m.collect()
			}
		case 5:
			if len(m.held) > 0 {
				m.held[rapid.IntRange(0, len(m.held)-1).Draw(m.t, "heard")].Heard()
			}
			m.clock.Step(time.Duration(rapid.IntRange(0, 90).Draw(m.t, "seconds")) * time.Second)
			m.collect()
		case 6:
			if len(m.waits) > 0 {
				r := some(m.waits)
				m.pool.hurry(m.waits[r], r)
				m.collect()
			}
		}
		m.check(false)
	}
}

// TestShares holds that no more is in use than there is, that who waits waits for a
// pool that is full, and that an owner below its share waits for no longer than the
// others take to give up.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, Options{CallBack: true, Idle: time.Minute})
		m.run(1)
		m.settle()
		m.check(true)
		m.finish()
	})
}

// TestSizes is about a pool, of memory for example, that calls nothing back, and
// requests of any size.
func TestSizes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, Options{})
		m.pool.size *= 3
		m.run(5)
		m.finish()
		all := m.pool.TryAcquire(Request{Owner: "a", Size: 100})
		if all == nil || m.pool.used != m.pool.size || all.CalledBack() != nil {
			t.Fatalf("%d in use", m.pool.used)
		}
		all.Release()
	})
}

// TestLeastFirst serves the owner that holds least, and lets none be overtaken for
// ever that wants much at once.
func TestLeastFirst(t *testing.T) {
	p := New(4, Options{})
	var leases []*Lease
	for range 4 {
		leases = append(leases, p.TryAcquire(Request{Owner: "busy", Size: 1}))
	}
	if p.TryAcquire(Request{Owner: "other"}) != nil {
		t.Fatal("more than there is")
	}
	more, large := &request{size: 1, granted: make(chan *Lease, 1)}, &request{size: 3, granted: make(chan *Lease, 1)}
	p.enqueue("busy", more)
	p.enqueue("other", large)
	for i, l := range leases {
		if len(large.granted) > 0 != (i > 2) || len(more.granted) > 0 {
			t.Fatalf("after %d: %d, %d", i, len(large.granted), len(more.granted))
		}
		if p.TryAcquire(Request{Owner: "third"}) != nil {
			t.Fatal("one that did not wait came first")
		}
		l.Release()
	}
	if len(more.granted) != 1 {
		t.Error("the last is not served")
	}
}

// TestVictim calls back the lease that was silent for longest, and an urgent one
// last.
func TestVictim(t *testing.T) {
	fake := newSteps()
	p := New(3, Options{CallBack: true, Clock: fake})
	var leases []*Lease
	urgent := make(chan struct{})
	close(urgent)
	for _, u := range []chan struct{}{urgent, nil, nil} {
		leases = append(leases, p.TryAcquire(Request{Owner: "a", Urgent: u}))
		fake.Step(time.Second)
	}
	leases[1].Heard()
	want := func(called ...bool) {
		t.Helper()
		for i, l := range leases {
			if closed(l.CalledBack()) != called[i] {
				t.Errorf("lease %d: %t", i, !called[i])
			}
		}
	}
	want(false, false, false)
	p.enqueue("b", &request{size: 1, granted: make(chan *Lease, 1)})
	want(false, false, true)
	p.enqueue("a", &request{size: 1, urgent: true, granted: make(chan *Lease, 1)})
	want(false, false, true)
	p.enqueue("a", &request{size: 1, urgent: true, granted: make(chan *Lease, 1)})
	want(false, true, true)
}

// TestIdle has one owner take turns with itself, and more owners than the pool is
// large with each other.
func TestIdle(t *testing.T) {
	for _, other := range []string{"a", "b"} {
		fake := newSteps()
		p := New(1, Options{CallBack: true, Idle: time.Minute, Clock: fake})
		first := p.TryAcquire(Request{Owner: "a"})
		second := &request{size: 1, granted: make(chan *Lease, 1)}
		p.enqueue(other, second)
		fake.Step(40 * time.Second)
		first.Heard()
		fake.Step(40 * time.Second)
		if closed(first.CalledBack()) {
			t.Fatal("a lease in use is called back")
		}
		fake.Step(40 * time.Second)
		if !closed(first.CalledBack()) {
			t.Fatal("a silent lease is not called back")
		}
		first.Release()
		if len(second.granted) != 1 {
			t.Error("the next one is not served")
		}
	}
}

// TestAcquire waits, and gives up with its context.
func TestAcquire(t *testing.T) {
	p := New(2, Options{CallBack: true})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Acquire(ended, Request{Owner: "a"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var group sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "a", "b"} {
		group.Go(func() {
			for range 200 {
				l, err := p.Acquire(t.Context(), Request{Owner: name})
				if err != nil {
					t.Error(err)
					return
				}
				l.Heard()
				l.Release()
			}
		})
	}
	group.Wait()
	held := []*Lease{p.TryAcquire(Request{Owner: "a"}), p.TryAcquire(Request{Owner: "a"})}
	waiting, giveUp := context.WithCancel(t.Context())
	urgent := make(chan struct{})
	group.Go(func() {
		if _, err := p.Acquire(waiting, Request{Owner: "a", Urgent: urgent}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	close(urgent)
	select {
	case <-held[0].CalledBack():
	case <-held[1].CalledBack():
	}
	giveUp()
	group.Wait()
	for _, l := range held {
		l.Release()
	}
	if p.used != 0 || p.called != 0 || len(p.owners) != 0 {
		t.Errorf("%d in use, %d owners", p.used, len(p.owners))
	}
}

// BenchmarkAcquire takes and gives back what nobody else wants.
func BenchmarkAcquire(b *testing.B) {
	p := New(128, Options{})
	b.ReportAllocs()
	for b.Loop() {
		l, err := p.Acquire(b.Context(), Request{Owner: "a"})
		if err != nil {
			b.Fatal(err)
		}
		l.Release()
	}
}
