package redact

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
)

const (
	// maxPiece is how much is looked at at once. A longer line is looked at in
	// pieces that overlap by maxMatch.
	maxPiece = 64 << 10
	overlap  = maxMatch
	// maxKeyword is more than the length of every keyword.
	maxKeyword = 64
)

// Writer redacts what is written to it and passes it on. What comes out does
// not depend on the pieces in which it was written. It holds at most maxPiece
// bytes more than what was written last. It is not safe for concurrent use.
type Writer struct {
	set    *Set
	dst    io.Writer
	counts Counts
	// pending was not looked at yet. It starts a line, or goes on after before.
	pending []byte
	before  byte
	// open is the rule whose match went on to the end of what was looked at.
	open string
	key  keyBlock
	// wordEnd is where the word ends that was looked at last.
	wordEnd int
	// spans is kept for its memory.
	spans []span
	err   error
}

// Writer returns a Writer to dst. Close it at the end.
func (s *Set) Writer(dst io.Writer) *Writer {
	return &Writer{set: s, dst: dst, counts: Counts{}, before: '\n'}
}

// Counts returns what was replaced so far. It is valid until the next Write.
func (w *Writer) Counts() Counts { return w.counts }

// Write takes the whole of p. The error is that of the destination.
func (w *Writer) Write(p []byte) (int, error) {
	if w.set.empty() {
		return w.dst.Write(p)
	}
	size := len(p)
	for len(p) > 0 && w.err == nil {
		n := min(len(p), maxPiece-len(w.pending))
		w.pending = append(w.pending, p[:n]...)
		p = p[n:]
		w.advance()
	}
	return size - len(p), w.err
}

// Close redacts and passes on the rest. It does not close the destination.
func (w *Writer) Close() error {
	if len(w.pending) > 0 {
		w.redact(w.pending, len(w.pending))
		w.pending = nil
	}
	return w.err
}

// advance redacts the lines in pending, or, where there is but a part of one,
// as much of it as can be told.
func (w *Writer) advance() {
	done := bytes.LastIndexByte(w.pending, '\n') + 1
	switch {
	case done > 0:
		w.redact(w.pending[:done], done)
	case len(w.pending) == maxPiece:
		done = w.redact(w.pending, maxPiece-overlap)
	}
	if done > 0 {
		w.before = w.pending[done-1]
		w.pending = append(w.pending[:0], w.pending[done:]...)
	}
}

// redact passes text on up to what starts at limit or later, and returns how
// much that was.
func (w *Writer) redact(text []byte, limit int) int {
	at := w.goOn(text, limit)
	w.find(text, at, limit)
	for i := range w.spans {
		s := &w.spans[i]
		if s.end <= at {
			continue
		}
		if s.start >= limit {
			break
		}
		if !s.more {
			w.counts[s.rule]++
		}
		w.write(text[at:max(at, s.start)])
		w.write([]byte(marker(s.rule)))
		at = s.end
		w.open = ""
		if s.open {
			w.open = s.rule
		}
	}
	if at < limit {
		w.write(text[at:limit])
		at = limit
	}
	return at
}

// goOn leaves out the rest of a token that went on to the end of what was
// looked at last, and returns where it ends.
func (w *Writer) goOn(text []byte, limit int) int {
	at := 0
	if w.open != "" {
		at = after(text[:limit], 0, partOfToken)
	}
	if at < limit {
		w.open = ""
	}
	return at
}

// find collects what is to be replaced, in order, from at on.
func (w *Writer) find(text []byte, at, limit int) {
	w.spans, w.wordEnd = w.spans[:0], 0
	if w.set.scanner != nil {
		w.builtin(text, at, limit)
	}
	for i := range w.set.patterns {
		w.spans = w.set.patterns[i].find(w.spans, text)
	}
	if len(w.set.patterns) > 0 {
		slices.SortStableFunc(w.spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	}
}

// builtin collects what the built-in rules replace.
func (w *Writer) builtin(text []byte, at, limit int) {
	at = w.key.goOn(w, text, at)
	for search := at; ; {
		end, candidates := w.set.scanner.next(text, search)
		if candidates == nil || end >= limit+maxKeyword {
			break
		}
		if done := w.replace(text, hit{end, at, limit}, candidates); done > at {
			at = done
		}
		search = max(end+1, at)
	}
}

// hit is where the window of a keyword ends; the keyword is of use only if it
// starts at from or later, and before limit.
type hit struct{ end, from, limit int }

// replace collects what the first rule replaces that has something to replace
// at h, and returns where that ends.
func (w *Writer) replace(text []byte, h hit, candidates []keyword) int {
	for i := range candidates {
		start, found := candidates[i].at(text, h.end)
		r := candidates[i].rule
		if !found || start < h.from || start >= h.limit || r.next != "" && !w.wordBefore(text, start, r.next) {
			continue
		}
		s, replaced := r.find(text, start, start+len(candidates[i].text), w.before)
		switch {
		case !replaced:
		case r.name == privateKey:
			return w.key.begin(w, text, s)
		default:
			w.spans = append(w.spans, s)
			return s.end
		}
	}
	return 0
}

// wordBefore reports whether next follows the word that has text[start]. Starts
// only grow, so that a word is read once.
func (w *Writer) wordBefore(text []byte, start int, next string) bool {
	if start >= w.wordEnd {
		w.wordEnd = after(text, start, partOfWord)
	}
	return bytes.HasPrefix(text[w.wordEnd:], []byte(next))
}

func (w *Writer) write(p []byte) {
	if w.err != nil || len(p) == 0 {
		return
	}
	if _, err := w.dst.Write(p); err != nil {
		w.err = fmt.Errorf("writing redacted text: %w", err)
	}
}
