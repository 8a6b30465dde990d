package pager

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// DefaultBytes is what the answers to all lists of a process may have together at
// one time. Decoded, and for a moment, the worst of them take some 16 times that.
const DefaultBytes = mostObjectBytes

// Gate bounds the bytes of all pages that are being read. Those of a namespace wait
// in line, and namespaces take turns, so that none of them holds up the others for
// longer than its own pages in flight take. A nil Gate has no bound.
type Gate struct {
	mu    sync.Mutex
	total int
	free  int
	// lines are the pages that wait, by namespace, and turns the namespaces that have
	// any, the next one first.
	lines map[string][]*waiter
	turns []string
}

type waiter struct {
	bytes int
	// entered is closed when the page may be read.
	entered chan struct{}
}

// NewGate returns a Gate for so many bytes.
func NewGate(bytes int) *Gate {
	return &Gate{total: bytes, free: bytes, lines: map[string][]*waiter{}}
}

// enter waits until a page of so many bytes may be read. A page that is larger than
// all that there is waits for all of it.
func (g *Gate) enter(ctx context.Context, namespace string, bytes int) (leave func(), err error) {
	if g == nil {
		return func() {}, nil
	}
	w := &waiter{bytes: min(bytes, g.total), entered: make(chan struct{})}
	g.mu.Lock()
	if len(g.lines[namespace]) == 0 {
		g.turns = append(g.turns, namespace)
	}
	g.lines[namespace] = append(g.lines[namespace], w)
	g.admit()
	g.mu.Unlock()
	select {
	case <-w.entered:
		return func() { g.leave(w) }, nil
	case <-ctx.Done():
		g.giveUp(namespace, w)
		return nil, fmt.Errorf("waiting for other lists: %w", ctx.Err())
	}
}

func (g *Gate) leave(w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free += w.bytes
	g.admit()
}

// giveUp takes a page out of its line, or back if it has just been let in.
func (g *Gate) giveUp(namespace string, w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.lines[namespace] {
		if other == w {
			g.take(namespace, i)
			g.admit()
			return
		}
	}
	g.free += w.bytes
	g.admit()
}

// admit lets pages in whose turn it is. One that does not fit yet holds up those
// behind it: else it would wait for ever.
func (g *Gate) admit() {
	for len(g.turns) > 0 {
		namespace := g.turns[0]
		next := g.lines[namespace][0]
		if next.bytes > g.free {
			return
		}
		g.free -= next.bytes
		g.take(namespace, 0)
		close(next.entered)
	}
}

// take takes a page out of its line. Its namespace comes last then, if others of it
// wait.
func (g *Gate) take(namespace string, i int) {
	line := slices.Concat(g.lines[namespace][:i], g.lines[namespace][i+1:])
	for turn, other := range g.turns {
		if other == namespace {
			g.turns = append(g.turns[:turn:turn], g.turns[turn+1:]...)
			break
		}
	}
	if len(line) == 0 {
		delete(g.lines, namespace)
		return
	}
	g.lines[namespace] = line
	g.turns = append(g.turns, namespace)
}
