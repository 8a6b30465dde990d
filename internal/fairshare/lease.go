package fairshare

import (
	"slices"
	"sync/atomic"
	"time"
)

// Lease is a part of a Pool that is held. It is safe for concurrent use.
type Lease struct {
	pool     *Pool
	owner    *owner
	size     int64
	urgent   bool
	released bool
	// heard is when it was of use last, in nanoseconds since 1970.
	heard    atomic.Int64
	isCalled bool
	called   chan struct{}
}

// lease gives a part of the pool to an owner. Called with the lock held.
func (p *Pool) lease(o *owner, size int64, urgent bool) *Lease {
	l := &Lease{pool: p, owner: o, size: size, urgent: urgent}
	p.used += size
	o.used += size
	if p.options.CallBack {
		l.called = make(chan struct{})
		l.Heard()
		o.leases = append(o.leases, l)
	}
	return l
}

// Heard notes that the lease is of use: it is not silent just now.
func (l *Lease) Heard() { l.heard.Store(l.pool.options.Clock.Now().UnixNano()) }

// CalledBack returns a channel that is closed once the lease is to be released,
// since others have more right to it. It is nil in a pool that calls none back.
func (l *Lease) CalledBack() <-chan struct{} { return l.called }

// Release gives the lease back. It may be called more than once.
func (l *Lease) Release() {
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	l.give()
	p.serve()
}

// give gives the lease back. Called with the lock held.
func (l *Lease) give() {
	if l.released {
		return
	}
	l.released = true
	p, o := l.pool, l.owner
	p.used -= l.size
	o.used -= l.size
	if l.isCalled {
		p.called -= l.size
		o.called -= l.size
	}
	o.leases = slices.DeleteFunc(o.leases, func(other *Lease) bool { return other == l })
	p.tidy(o)
}

// call calls the lease back. Called with the lock held.
func (l *Lease) call() {
	l.isCalled = true
	close(l.called)
	l.pool.called += l.size
	l.owner.called += l.size
}

// callBack calls back what those that wait have a right to, and looks again later
// where silent leases may be called back then. Called with the lock held.
func (p *Pool) callBack() {
	if !p.options.CallBack {
		return
	}
	p.callShares()
	p.callUrgent()
	p.callIdle()
	if p.options.Idle > 0 && !p.checking {
		p.checking = true
		p.options.Clock.AfterFunc(p.options.Idle/idleChecks, p.check)
	}
}

// check looks again for silent leases.
func (p *Pool) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checking = false
	p.serve()
}

// share is what each owner may hold while others wait.
func (p *Pool) share() int64 { return max(1, p.size/int64(len(p.owners))) }

// callShares calls back from owners above their share what those below it wait for.
func (p *Pool) callShares() {
	share := p.share()
	wanted := -p.called
	for _, o := range p.owners {
		wanted += o.owed(share)
	}
	for wanted > 0 {
		from := p.richest()
		if from == nil || from.kept() <= share {
			return
		}
		l := from.victim()
		wanted -= l.size
		l.call()
	}
}

// owed returns what the owner waits for and has a right to.
func (o *owner) owed(share int64) int64 {
	owed, left := int64(0), share-o.kept()
	for _, requests := range [][]*request{o.urgent, o.others} {
		for _, r := range requests {
			if left <= 0 {
				return owed
			}
			owed += r.size
			left -= r.size
		}
	}
	return owed
}

// richest returns the owner that holds most of those that can be called back, nil
// if there is none.
func (p *Pool) richest() *owner {
	var richest *owner
	for _, o := range p.owners {
		if o.victim() != nil && (richest == nil || o.kept() > richest.kept()) {
			richest = o
		}
	}
	return richest
}

// victim returns the lease that is called back first, nil if all are: one that is
// not urgent before others, then the one that was silent for longest.
func (o *owner) victim() *Lease {
	var victim *Lease
	for _, l := range o.leases {
		if !l.isCalled && (victim == nil || l.goesBefore(victim)) {
			victim = l
		}
	}
	return victim
}

func (l *Lease) goesBefore(other *Lease) bool {
	if l.urgent != other.urgent {
		return other.urgent
	}
	return l.heard.Load() < other.heard.Load()
}

// callUrgent calls back, for urgent requests, leases of the same owner that are not
// urgent.
func (p *Pool) callUrgent() {
	for _, o := range p.owners {
		wanted := -o.called
		for _, r := range o.urgent {
			wanted += r.size
		}
		for wanted > 0 {
			l := o.victim()
			if l == nil || l.urgent {
				break
			}
			wanted -= l.size
			l.call()
		}
	}
}

// callIdle calls back leases that were silent for long, the longest first, for
// requests of owners that do not hold more.
func (p *Pool) callIdle() {
	if p.options.Idle <= 0 {
		return
	}
	before := p.options.Clock.Now().Add(-p.options.Idle)
	for {
		taker := p.taker()
		if taker == nil {
			return
		}
		l := p.idlest(taker, before)
		if l == nil {
			return
		}
		l.call()
	}
}

// taker returns the owner to be served next, if what was called back is less than
// what is waited for.
func (p *Pool) taker() *owner {
	wanted := -p.called
	for _, o := range p.owners {
		for _, requests := range [][]*request{o.urgent, o.others} {
			for _, r := range requests {
				wanted += r.size
			}
		}
	}
	if wanted <= 0 {
		return nil
	}
	return p.next()
}

// idlest returns the lease that was silent for longest, at least since before, of
// those that may be called back for the owner.
func (p *Pool) idlest(taker *owner, before time.Time) *Lease {
	var idlest *Lease
	for _, o := range p.owners {
		if o != taker && o.kept() <= taker.kept() {
			continue
		}
		l := o.victim()
		if l != nil && l.heard.Load() <= before.UnixNano() && (idlest == nil || l.goesBefore(idlest)) {
			idlest = l
		}
	}
	return idlest
}
