package logpack

import (
	"bytes"
	"slices"
	"sync"

	"github.com/job-handler/job-handler/internal/logtext"
)

const (
	// ChunkBytes is how much text is compressed in one piece, in bytes.
	ChunkBytes = 128 << 10
	// longLine is how far, in bytes, the end of a piece moves to reach the border
	// of a line.
	longLine = 4 << 10
	// tailShare is how many quarters of a log that is tailFirst are its head.
	tailShare = 4
)

// Log is an io.Writer that keeps what is written to it compressed. It is for
// one goroutine, and is not read before it is closed.
type Log struct {
	pool      *Pool
	owner     string
	tailFirst bool
	// pins is how often the log was pinned and not unpinned.
	pins int
	// pending is what is not compressed yet.
	pending []byte
	// chunks are the pieces that are kept; from index gap on they are from behind
	// what was left out.
	chunks []chunk
	gap    int
	// size is what chunks take, in bytes, raw what their text does.
	size int
	raw  int64

	omittedBytes    int64
	omittedNewlines int64
	// lastOmitted is the byte before the first piece behind the gap.
	lastOmitted byte
}

// chunk is a piece of a log.
type chunk struct {
	packed   []byte
	raw      int64
	newlines int64
	last     byte
}

// pendings holds *[ChunkBytes]byte.
var pendings sync.Pool

// Write takes the whole of p and never fails.
func (l *Log) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if l.pending == nil {
			l.pending = newPending()
		}
		n := min(len(p), ChunkBytes-len(l.pending))
		l.pending = append(l.pending, p[:n]...)
		p = p[n:]
		if len(l.pending) == ChunkBytes {
			l.seal(lineBorder(l.pending))
		}
	}
	return written, nil
}

// Close compresses the rest. It never fails.
func (l *Log) Close() error {
	if len(l.pending) > 0 {
		l.seal(len(l.pending))
	}
	l.release()
	return nil
}

func newPending() []byte {
	memory, pooled := pendings.Get().(*[ChunkBytes]byte)
	if !pooled {
		memory = new([ChunkBytes]byte)
	}
	return memory[:0]
}

func (l *Log) release() {
	if l.pending != nil {
		pendings.Put((*[ChunkBytes]byte)(l.pending[:ChunkBytes]))
		l.pending = nil
	}
}

// lineBorder returns where to end a piece of text.
func lineBorder(text []byte) int {
	if border := bytes.LastIndexByte(text, '\n') + 1; border > 0 && len(text)-border <= longLine {
		return border
	}
	return len(text)
}

// seal compresses the first size bytes of what is pending.
func (l *Log) seal(size int) {
	text := l.pending[:size]
	c := newChunk(text)
	withPacked(text, func(packed []byte) { l.pool.add(l, packed, c) })
	l.pending = l.pending[:copy(l.pending, l.pending[size:])]
}

func newChunk(text []byte) chunk {
	return chunk{
		raw: int64(len(text)), newlines: int64(bytes.Count(text, newline)), last: text[len(text)-1],
	}
}

var newline = []byte{'\n'}

// Size returns how many compressed bytes are kept.
func (l *Log) Size() int { return l.size }

// Excerpt returns how much of the log is kept.
func (l *Log) Excerpt() logtext.Excerpt {
	e := logtext.Excerpt{OmittedBytes: l.omittedBytes, OmittedLines: l.omittedNewlines}
	if l.omittedBytes > 0 && l.lastOmitted != '\n' {
		e.OmittedLines++
	}
	for i, c := range l.chunks {
		if l.omittedBytes > 0 && i >= l.gap {
			e.TailBytes += c.raw
		} else {
			e.HeadBytes += c.raw
		}
	}
	return e
}

// Members returns what is kept, as gzip files whose texts are one after the
// other. They are valid until the log is dropped, and must not be changed.
func (l *Log) Members() [][]byte {
	members := make([][]byte, 0, len(l.chunks))
	for _, c := range l.chunks {
		members = append(members, c.packed)
	}
	return members
}

// EndsLine reports whether the last byte that is kept is a newline.
func (l *Log) EndsLine() bool {
	return len(l.chunks) > 0 && l.chunks[len(l.chunks)-1].last == '\n'
}

func (l *Log) weight() int64 {
	if l.tailFirst {
		return int64(l.size / failedWeight)
	}
	return int64(l.size)
}

func (l *Log) rawWeight() int64 { return l.raw }

// evict takes the piece next to the gap away, from the side that is longer than
// its share, and returns it.
func (l *Log) evict() chunk {
	at := l.victim()
	gone := l.chunks[at]
	if l.omittedBytes == 0 || at == l.gap {
		l.lastOmitted = gone.last
	}
	l.gap = at
	l.chunks = slices.Delete(l.chunks, at, at+1)
	l.size -= len(gone.packed)
	l.raw -= gone.raw
	l.omittedBytes += gone.raw
	l.omittedNewlines += gone.newlines
	return gone
}

// victim returns the index of the piece to take away.
func (l *Log) victim() int {
	target := l.size / 2
	if l.tailFirst {
		target = l.size / tailShare
	}
	end := l.gap
	if l.omittedBytes == 0 {
		end = len(l.chunks)
	}
	head := 0
	for i, c := range l.chunks[:end] {
		if head += len(c.packed); head > target {
			if l.omittedBytes == 0 {
				return i
			}
			return end - 1
		}
	}
	return min(l.gap, len(l.chunks)-1)
}
