package logpack

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

const (
	// fitTries bounds how often a part of a piece is compressed to find out how
	// much of it fits; each time less is tried.
	fitTries = 4
	// leastPart is the least room, in bytes, that is worth a part of a piece.
	leastPart = 256
)

// Fit returns what of the log fits into room compressed bytes: itself, or a log
// that shares its memory, with head and tail of it. The error is that what it
// holds compressed cannot be read.
func (l *Log) Fit(room int) (*Log, error) {
	if l.size <= room {
		return l, nil
	}
	fitted := *l
	fitted.pool, fitted.pending, fitted.chunks = nil, nil, slices.Clone(l.chunks)
	var gone chunk
	fromHead := false
	for fitted.size > max(0, room) {
		whole, gap := fitted.omittedBytes == 0, fitted.gap
		gone = fitted.evict()
		fromHead = whole || fitted.gap < gap
	}
	if room-fitted.size < leastPart {
		return &fitted, nil
	}
	part, there, err := gone.part(room-fitted.size, fromHead)
	if there {
		fitted.takeBack(part, fromHead, gone)
	}
	return &fitted, err
}

// takeBack puts a part of the piece that was evicted last back in: its head
// before the gap, or its tail behind it.
func (l *Log) takeBack(part partial, head bool, from chunk) {
	l.chunks = slices.Insert(l.chunks, l.gap, part.chunk)
	l.size += len(part.packed)
	l.raw += part.raw
	l.omittedBytes -= part.raw
	l.omittedNewlines -= part.newlines
	if head {
		l.gap++
		return
	}
	l.lastOmitted = part.before
	if from.raw == part.raw {
		l.lastOmitted = '\n'
	}
}

// partial is a part of a piece.
type partial struct {
	chunk
	// before is the byte before it in the piece.
	before byte
}

// part returns the head or the tail of c in at most room compressed bytes. there is
// false where that is nothing.
func (c *chunk) part(room int, head bool) (part partial, there bool, err error) {
	text, err := c.text()
	if err != nil {
		return partial{}, false, err
	}
	size := int(float64(len(text)) * float64(room) / float64(len(c.packed)))
	for range fitTries {
		size -= size/32 + 1
		if size <= 0 || size >= len(text) {
			break
		}
		kept, before := cut(text, size, head)
		if len(kept) == 0 {
			break
		}
		part = partial{chunk: newChunk(kept), before: before}
		withPacked(kept, func(packed []byte) { part.packed = bytes.Clone(packed) })
		if len(part.packed) <= room {
			return part, true, nil
		}
		size = int(float64(size) * float64(room) / float64(len(part.packed)))
	}
	return partial{}, false, nil
}

// text returns the text of the piece.
func (c *chunk) text() ([]byte, error) {
	text, err := Unpack(bytes.NewReader(c.packed), c.raw)
	if err == nil && int64(len(text)) < c.raw {
		err = fmt.Errorf("decompressing: %w", io.ErrUnexpectedEOF)
	}
	return text, err
}

// cut returns at most size bytes from the start or the end of text, and no less than
// half of that: whole lines where their border is near, and the byte before them.
func cut(text []byte, size int, head bool) (kept []byte, before byte) {
	if head {
		if border := lineBorder(text[:size]); border >= size/2 {
			size = border
		}
		return text[:size], 0
	}
	start := len(text) - size
	reach := text[start : start+min(size/2, longLine)]
	if border := bytes.IndexByte(reach, '\n') + 1; border > 0 && text[start-1] != '\n' {
		start += border
	}
	return text[start:], text[start-1]
}
