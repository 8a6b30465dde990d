package logtext

import "bytes"

// Buffer is an io.Writer that keeps what is written to it within a capacity:
// the whole of it while it fits, else its first and its last bytes, half each.
// It counts every byte and every line. It allocates as it grows, never more
// than twice the capacity for a moment. It is not safe for concurrent use.
type Buffer struct {
	capacity int
	// kept is the whole text, or, once that was more than capacity, the head
	// kept[:head] and a ring with the tail, whose oldest byte is at oldest.
	kept         []byte
	head, oldest int

	seen     int64
	newlines int64
	last     byte
	// lastOmitted is the byte just before the tail.
	lastOmitted byte
}

const firstAllocation = 512

// NewBuffer returns an empty Buffer that keeps at most capacity bytes; less
// than 0 means 0.
func NewBuffer(capacity int) *Buffer {
	capacity = max(0, capacity)
	return &Buffer{capacity: capacity, head: capacity / 2}
}

// Write counts p and keeps of it what the capacity allows. It always takes the
// whole of p and never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	written := len(p)
	if written == 0 {
		return 0, nil
	}
	fitting := min(len(p), b.capacity-len(b.kept))
	b.appendKept(p[:fitting])
	b.overwrite(p[fitting:])
	b.seen += int64(written)
	b.newlines += int64(bytes.Count(p, newline))
	b.last = p[written-1]
	return written, nil
}

// Seen returns how many bytes were written.
func (b *Buffer) Seen() int64 { return b.seen }

// Lines returns how many lines were written, the last counted also where no
// newline ends it.
func (b *Buffer) Lines() int64 { return lines(b.newlines, b.seen, b.last) }

// Kept returns how many bytes are kept.
func (b *Buffer) Kept() int { return len(b.kept) }

// Capacity returns how many bytes can be kept.
func (b *Buffer) Capacity() int { return b.capacity }

// Whole reports whether everything that was written is kept.
func (b *Buffer) Whole() bool { return b.seen == int64(len(b.kept)) }

// Head returns the first bytes written: all of them if the Buffer is Whole. It
// is valid until the next call of Write or Shrink and must not be changed.
func (b *Buffer) Head() []byte {
	if b.Whole() {
		return b.kept
	}
	return b.kept[:b.head]
}

// Tail returns the last bytes written, nil if the Buffer is Whole. It is valid
// until the next call of Write or Shrink and must not be changed.
func (b *Buffer) Tail() []byte {
	if b.Whole() {
		return nil
	}
	ring := b.kept[b.head:]
	rotate(ring, b.oldest)
	b.oldest = 0
	return ring
}

// OmittedBytes returns how many bytes lie between Head and Tail.
func (b *Buffer) OmittedBytes() int64 { return b.seen - int64(len(b.kept)) }

// OmittedLines returns how many lines OmittedBytes make up, a part of a line
// counted as one.
func (b *Buffer) OmittedLines() int64 {
	kept := bytes.Count(b.kept, newline)
	return lines(b.newlines-int64(kept), b.OmittedBytes(), b.lastOmitted)
}

// Shrink lowers the capacity, leaves out what no longer fits, and frees its
// memory. A capacity that is not lower changes nothing.
func (b *Buffer) Shrink(capacity int) {
	capacity = max(0, capacity)
	if capacity >= b.capacity {
		return
	}
	head, tail := b.Head(), b.Tail()
	b.capacity = capacity
	if b.Whole() {
		if len(head) <= capacity {
			b.head = capacity / 2
			b.release()
			return
		}
		tail = head
	}
	b.head = min(len(head), max(capacity/2, capacity-len(tail)))
	tailStart := len(tail) - (capacity - b.head)
	if tailStart > 0 {
		b.lastOmitted = tail[tailStart-1]
	}
	kept := make([]byte, 0, capacity)
	kept = append(kept, head[:b.head]...)
	kept = append(kept, tail[tailStart:]...)
	b.kept = kept
	b.oldest = 0
}

// release gives back room that the capacity does not allow to fill.
func (b *Buffer) release() {
	if cap(b.kept) > b.capacity {
		b.kept = append(make([]byte, 0, b.capacity), b.kept...)
	}
}

func (b *Buffer) appendKept(p []byte) {
	if need := len(b.kept) + len(p); need > cap(b.kept) {
		size := min(b.capacity, max(need, 2*cap(b.kept), firstAllocation))
		kept := make([]byte, len(b.kept), size)
		copy(kept, b.kept)
		b.kept = kept
	}
	b.kept = append(b.kept, p...)
}

// overwrite puts p into the ring, in the place of its oldest bytes. It is
// called with bytes only once kept has reached the capacity.
func (b *Buffer) overwrite(p []byte) {
	if len(p) == 0 {
		return
	}
	ring := b.kept[b.head:]
	switch spare := len(p) - len(ring); {
	case spare > 0:
		b.lastOmitted = p[spare-1]
		p = p[spare:]
		b.oldest = 0
	default:
		b.lastOmitted = ring[(b.oldest+len(p)-1)%len(ring)]
	}
	first := copy(ring[b.oldest:], p)
	copy(ring, p[first:])
	if len(ring) > 0 {
		b.oldest = (b.oldest + len(p)) % len(ring)
	}
}

// rotate brings ring[start] to the front.
func rotate(ring []byte, start int) {
	if start == 0 {
		return
	}
	reverse(ring[:start])
	reverse(ring[start:])
	reverse(ring)
}

func reverse(b []byte) {
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
}

var newline = []byte{'\n'}

// lines returns the number of lines in size bytes that hold so many newlines
// and end with last.
func lines(newlines, size int64, last byte) int64 {
	if size > 0 && last != '\n' {
		return newlines + 1
	}
	return newlines
}
