package e2e

import (
	"context"
	"sync"
	"testing"
	"time"
)

// downtime is the time in which the manager is away, common to all stories
// that join. It begins when all of them have arranged what has to be there
// before, and is over when all have seen what they want to see in between.
type downtime struct {
	waiting, watching sync.WaitGroup
	begun, over       chan struct{}

	mu      sync.Mutex
	joined  int
	release map[*testing.T]*steps
}

// steps let one story go on to the next part once only.
type steps struct{ arranged, seen func() }

func newDowntime() *downtime {
	return &downtime{
		begun: make(chan struct{}), over: make(chan struct{}), release: map[*testing.T]*steps{},
	}
}

// join has the others wait for the story of t, until it ends.
func (d *downtime) join(t *testing.T) {
	d.waiting.Add(1)
	d.watching.Add(1)
	s := &steps{arranged: sync.OnceFunc(d.waiting.Done), seen: sync.OnceFunc(d.watching.Done)}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.joined++
	d.release[t] = s
	t.Cleanup(func() {
		s.arranged()
		s.seen()
	})
}

func (d *downtime) steps(t *testing.T) *steps {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.release[t]
}

// begin waits until the manager is away.
func (d *downtime) begin(s *story) {
	d.steps(s.t).arranged()
	<-d.begun
}

// end waits until the manager is there again.
func (d *downtime) end(s *story) {
	d.steps(s.t).seen()
	<-d.over
}

// run kills the manager and starts it again, when the stories are ready for it.
func (d *downtime) run(t *testing.T, w *world) {
	if d.joined == 0 {
		return
	}
	// It starts the manager again also when all stories have failed by then.
	background := context.WithoutCancel(t.Context())
	go func() {
		defer close(d.over)
		d.waiting.Wait()
		err := within(background, w.manager.crash)
		killed := time.Now()
		close(d.begun)
		if err != nil {
			t.Errorf("killing the manager: %v", err)
			return
		}
		d.watching.Wait()
		if err := within(background, w.manager.start); err != nil {
			t.Errorf("starting the manager again: %v", err)
		}
		w.say("the manager was away for %s", time.Since(killed).Round(time.Second))
	}()
	t.Cleanup(func() { <-d.over })
}

// within bounds the time of what is done to the manager.
func within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, managerTimeout)
	defer cancel()
	return do(ctx)
}
