package logtext

import "bytes"

// Gap is what was left out of a log between its head and its tail.
type Gap struct {
	// Bytes and Newlines are how many there were in it.
	Bytes, Newlines int64
	// Last is the byte just before the tail, where Bytes is not 0.
	Last byte
}

// Append returns the gap with text left out too, which comes after it.
func (g Gap) Append(text []byte) Gap {
	if len(text) == 0 {
		return g
	}
	return Gap{
		Bytes:    g.Bytes + int64(len(text)),
		Newlines: g.Newlines + int64(bytes.Count(text, newline)),
		Last:     text[len(text)-1],
	}
}

// Join returns the gap with another one, which comes right after it.
func (g Gap) Join(next Gap) Gap {
	if next.Bytes == 0 {
		return g
	}
	return Gap{Bytes: g.Bytes + next.Bytes, Newlines: g.Newlines + next.Newlines, Last: next.Last}
}

// Gap returns what lies between Head and Tail.
func (b *Buffer) Gap() Gap {
	if b.Whole() {
		return Gap{}
	}
	return Gap{
		Bytes: b.OmittedBytes(), Newlines: b.newlines - int64(bytes.Count(b.kept, newline)), Last: b.lastOmitted,
	}
}

// Restore returns a Buffer of a log of which this is known: all of it, if gap is
// empty, else its head, its tail, and what is gone between them. It copies all of
// both, however long either is, and has no room for more.
func Restore(head, tail []byte, gap Gap) *Buffer {
	b := &Buffer{
		capacity: len(head) + len(tail), kept: bytes.Join([][]byte{head, tail}, nil), head: len(head),
		seen: int64(len(head)+len(tail)) + gap.Bytes, last: gap.Last, lastOmitted: gap.Last,
	}
	b.newlines = int64(bytes.Count(b.kept, newline)) + gap.Newlines
	for _, end := range [][]byte{head, tail} {
		if len(end) > 0 && (len(tail) > 0 || gap.Bytes == 0) {
			b.last = end[len(end)-1]
		}
	}
	return b
}
