package logpack

import (
	"slices"
	"sync"
)

const (
	// maxRaw bounds the text that a Pool keeps, in bytes before compression, so
	// that nobody needs more memory to read it again, however well it compresses.
	maxRaw = 512 << 20
	// maxFree is how many pieces of memory that are not in use are kept.
	maxFree = 16
	// pieceRounding is what the memory of pieces is rounded up to, in bytes, so
	// that it is used again for others of about the same size.
	pieceRounding = 4 << 10
	// failedWeight is how much larger than others a log that comes first may be
	// before it loses something.
	failedWeight = 2
)

// Pool is the memory that logs share. It is safe for concurrent use.
type Pool struct {
	mu     sync.Mutex
	budget int
	used   int
	raw    int64
	logs   []*Log
	// owners is how much each of those who share the pool has of used.
	owners map[string]int
	free   [][]byte
}

// NewPool returns a Pool whose logs hold at most budget compressed bytes
// together, besides at most ChunkBytes for each that is being written.
func NewPool(budget int) *Pool { return &Pool{budget: max(0, budget), owners: map[string]int{}} }

// Open returns a new log in the pool. One that is tailFirst keeps three quarters
// from its end, not half, where it cannot be kept whole, and loses something only
// when it is twice as large as any other. Close it when it is written.
func (p *Pool) Open(tailFirst bool) *Log { return p.OpenFor("", tailFirst) }

// OpenFor is Open for one of those who share the pool: when it is full, logs of the
// owner that has most of it lose something first.
func (p *Pool) OpenFor(owner string, tailFirst bool) *Log {
	l := &Log{pool: p, owner: owner, tailFirst: tailFirst}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logs = append(p.logs, l)
	return l
}

// Drop forgets the log and frees what it held.
func (p *Pool) Drop(l *Log) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logs = slices.DeleteFunc(p.logs, func(other *Log) bool { return other == l })
	p.hold(l, -l.size)
	for _, c := range l.chunks {
		p.raw -= c.raw
		p.give(c.packed)
	}
	l.chunks, l.size, l.raw = nil, 0, 0
	l.release()
}

// Pin has the log, which is closed, stay as it is until Unpin is called as often:
// others lose what has to be taken away. Of a log that is dropped it must be
// unpinned before.
func (p *Pool) Pin(l *Log) { p.pin(l, 1) }

// Unpin takes a Pin back.
func (p *Pool) Unpin(l *Log) { p.pin(l, -1) }

func (p *Pool) pin(l *Log, more int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.pins += more
}

// add appends a piece to the log, and takes pieces away where the pool is full.
func (p *Pool) add(l *Log, packed []byte, c chunk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.packed = append(p.take(len(packed)), packed...)
	l.chunks = append(l.chunks, c)
	l.size += len(packed)
	p.hold(l, len(packed))
	p.raw += c.raw
	l.raw += c.raw
	for p.used > p.budget || p.raw > maxRaw {
		weight := (*Log).weight
		if p.used <= p.budget {
			weight = (*Log).rawWeight
		}
		largest := p.largest(weight)
		if largest == nil {
			return
		}
		gone := largest.evict()
		p.hold(largest, -len(gone.packed))
		p.raw -= gone.raw
		p.give(gone.packed)
	}
}

// hold notes that the log has so many bytes more, less where they are negative.
func (p *Pool) hold(l *Log, more int) {
	p.used += more
	if p.owners[l.owner] += more; p.owners[l.owner] == 0 {
		delete(p.owners, l.owner)
	}
}

// largest returns the log that weighs most of those that may lose something, of the
// owner that has most of those that have such a log; nil where there is none.
func (p *Pool) largest(weight func(*Log) int64) *Log {
	var largest *Log
	for _, l := range p.logs {
		if l.pins > 0 || len(l.chunks) == 0 {
			continue
		}
		if largest == nil || p.owners[l.owner] > p.owners[largest.owner] ||
			p.owners[l.owner] == p.owners[largest.owner] && weight(l) > weight(largest) {
			largest = l
		}
	}
	return largest
}

// take returns an empty slice for size bytes.
func (p *Pool) take(size int) []byte {
	best := -1
	for i, f := range p.free {
		if cap(f) >= size && (best < 0 || cap(f) < cap(p.free[best])) {
			best = i
		}
	}
	if best < 0 {
		return make([]byte, 0, (size+pieceRounding-1)/pieceRounding*pieceRounding)
	}
	found := p.free[best]
	p.free = slices.Delete(p.free, best, best+1)
	return found[:0]
}

func (p *Pool) give(memory []byte) {
	if len(p.free) < maxFree {
		p.free = append(p.free, memory)
	}
}
