package fairshare

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// idleChecks is how often within Options.Idle a full pool looks for leases that are
// silent.
const idleChecks = 4

// Options say how a Pool gets back what is held. With the zero value it gets
// nothing back: who waits is served, in fair order, as leases are released.
type Options struct {
	// CallBack lets the pool call leases back: those that were silent for longest, of
	// an owner above its share, for one below it.
	CallBack bool
	// Idle is how long a lease may be silent before it is called back for any request
	// that waits, unless the owner of that holds more; 0: never.
	Idle time.Duration
	// Clock measures silence; nil means the real clock.
	Clock clock.WithDelayedExecution
}

// Pool is what is shared. It is safe for concurrent use.
type Pool struct {
	options Options

	mu sync.Mutex
	// size is what there is, used what is held of that, called what is held and was
	// called back.
	size, used, called int64
	owners             map[string]*owner
	// waiting counts the requests that wait, arrivals all that ever did.
	waiting  int
	arrivals uint64
	// checking is true while a look for silent leases is to come.
	checking bool
}

// owner is one that holds something or waits.
type owner struct {
	name         string
	used, called int64
	leases       []*Lease
	// urgent and others are the requests that wait, in order.
	urgent, others []*request
}

// Request says what is wanted of a Pool.
type Request struct {
	// Owner shares the pool with others.
	Owner string
	// Size is how much of the pool is wanted; less than 1 means 1, and more than the
	// pool means all of it.
	Size int64
	// Urgent, once it is closed, lets the request come before others of its owner,
	// and take a silent lease of it that is not urgent; may be nil.
	Urgent <-chan struct{}
}

// request is a Request that waits.
type request struct {
	size    int64
	urgent  bool
	arrival uint64
	// granted has the lease once there is one.
	granted chan *Lease
}

// New returns a Pool of this size, at least 1.
func New(size int64, opts Options) *Pool {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	return &Pool{options: opts, size: max(1, size), owners: map[string]*owner{}}
}

// Acquire waits until the request is granted or ctx ends. The error is that of ctx,
// wrapped.
func (p *Pool) Acquire(ctx context.Context, wanted Request) (*Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("waiting for a share: %w", err)
	}
	if lease := p.TryAcquire(wanted); lease != nil {
		return lease, nil
	}
	r := &request{size: p.sizeOf(wanted), urgent: closed(wanted.Urgent), granted: make(chan *Lease, 1)}
	p.enqueue(wanted.Owner, r)
	urgent := wanted.Urgent
	if r.urgent {
		urgent = nil
	}
	for {
		select {
		case lease := <-r.granted:
			return lease, nil
		case <-urgent:
			p.hurry(wanted.Owner, r)
			urgent = nil
		case <-ctx.Done():
			p.withdraw(wanted.Owner, r)
			return nil, fmt.Errorf("waiting for a share: %w", ctx.Err())
		}
	}
}

// TryAcquire returns a lease, nil where that would have to wait.
func (p *Pool) TryAcquire(wanted Request) *Lease {
	size := p.sizeOf(wanted)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting > 0 || p.used+size > p.size {
		return nil
	}
	return p.lease(p.owner(wanted.Owner), size, closed(wanted.Urgent))
}

func (p *Pool) sizeOf(wanted Request) int64 { return min(max(1, wanted.Size), p.size) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (p *Pool) owner(name string) *owner {
	if p.owners[name] == nil {
		p.owners[name] = &owner{name: name}
	}
	return p.owners[name]
}

// enqueue has the request wait, and serves it where that is possible.
func (p *Pool) enqueue(name string, r *request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrivals++
	r.arrival = p.arrivals
	p.owner(name).queue(r)
	p.waiting++
	p.serve()
}

func (o *owner) queue(r *request) {
	if r.urgent {
		o.urgent = append(o.urgent, r)
		return
	}
	o.others = append(o.others, r)
}

// hurry makes a request that waits urgent.
func (p *Pool) hurry(name string, r *request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.owners[name]
	if o == nil || !o.remove(r) {
		return
	}
	r.urgent = true
	o.queue(r)
	p.serve()
}

// withdraw ends a request, and gives back what it was granted meanwhile.
func (p *Pool) withdraw(name string, r *request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case lease := <-r.granted:
		lease.give()
	default:
		o := p.owners[name]
		o.remove(r)
		p.waiting--
		p.tidy(o)
	}
	p.serve()
}

// remove reports whether the request waited.
func (o *owner) remove(r *request) bool {
	waited := len(o.urgent) + len(o.others)
	same := func(other *request) bool { return other == r }
	o.urgent, o.others = slices.DeleteFunc(o.urgent, same), slices.DeleteFunc(o.others, same)
	return len(o.urgent)+len(o.others) < waited
}

// tidy forgets an owner that neither holds nor wants anything.
func (p *Pool) tidy(o *owner) {
	if o.used == 0 && o.first() == nil {
		delete(p.owners, o.name)
	}
}

// first returns the request that the owner wants granted first, nil if none waits.
func (o *owner) first() *request {
	switch {
	case len(o.urgent) > 0:
		return o.urgent[0]
	case len(o.others) > 0:
		return o.others[0]
	default:
		return nil
	}
}

// kept is what the owner holds and may keep.
func (o *owner) kept() int64 { return o.used - o.called }

// serve grants what can be granted, and calls leases back for what cannot. Called
// with the lock held.
func (p *Pool) serve() {
	for p.waiting > 0 {
		o := p.next()
		r := o.first()
		if p.used+r.size > p.size {
			p.callBack()
			return
		}
		o.remove(r)
		p.waiting--
		r.granted <- p.lease(o, r.size, r.urgent)
	}
}

// next returns the owner to be served next: the one that holds least, of those the
// one with an urgent request, of those the one whose request came first.
func (p *Pool) next() *owner {
	var next *owner
	for _, o := range p.owners {
		if o.first() != nil && (next == nil || o.before(next)) {
			next = o
		}
	}
	return next
}

func (o *owner) before(other *owner) bool {
	a, b := o.first(), other.first()
	switch {
	case o.kept() != other.kept():
		return o.kept() < other.kept()
	case a.urgent != b.urgent:
		return a.urgent
	default:
		return a.arrival < b.arrival
	}
}
