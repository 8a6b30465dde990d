package joblogs

import (
	"slices"
	"time"
)

func (s *search) begin(at stamp) {
	s.line, s.buffer = seenLine{at: at}, nil
	s.hash.Reset()
}

// compare takes a piece of a line that may have been passed on in part.
func (r *resumed) compare(p []byte) {
	s := &r.search
	if left := r.current.size - s.line.size; r.mayBeOpen() && left > 0 && int64(len(p)) >= left {
		s.add(p[:left])
		p = p[left:]
		if s.hash.Sum64() == r.hash.Sum64() {
			r.resume()
			r.open = true
			if len(p) > 0 {
				r.text(p)
			}
			return
		}
	}
	s.add(p)
}

// mayBeOpen reports whether the line that is coming may be the one of which the
// beginning was passed on: it is not one of those before.
func (r *resumed) mayBeOpen() bool {
	return r.open && r.search.line.at == r.current.at &&
		!slices.ContainsFunc(r.recent[r.search.found:], func(line seenLine) bool { return line.at == r.current.at })
}

func (s *search) add(p []byte) {
	_, _ = s.hash.Write(p)
	s.line.size += int64(len(p))
	if len(s.buffer) <= maxPending {
		s.buffer = append(s.buffer, p...)
	}
}

// endSearched finds out whether the line that has ended was passed on before.
func (r *resumed) endSearched() {
	s := &r.search
	s.line.hash = s.hash.Sum64()
	if next := slices.Index(r.recent[s.found:], s.line); next >= 0 {
		s.found += next + 1
		s.pending, s.size = nil, 0
		if s.found == len(r.recent) && !r.open {
			r.resume()
		}
		return
	}
	if s.line.at <= r.forgotten && s.line.at < r.earliest() {
		return
	}
	s.buffer = append(s.buffer, '\n')
	s.hold()
	if s.size > maxPending || s.line.at > r.forgotten {
		r.missed(s.pending[0].at)
		r.goOn()
	}
}

// hold puts the line that came aside.
func (s *search) hold() {
	s.pending = append(s.pending, pendingLine{at: s.line.at, text: s.buffer})
	s.size += len(s.buffer)
	s.buffer = nil
}

// resume ends a search: the stream has come to what is new.
func (r *resumed) resume() {
	r.search.reset()
	r.search.on = false
	r.trusted = recentLines
}

// missed notes that what was passed on last is not there any more: between that
// and a line from at others may have been.
func (r *resumed) missed(at stamp) {
	if r.search.found > 0 || r.atEnd && time.Duration(at-r.latest) < leastGap {
		return
	}
	if r.gap.from == 0 {
		r.gap.from = r.latest
	}
	r.gap.to = at
}

// goOn ends a search: what was put aside is new, and so is what follows.
func (r *resumed) goOn() {
	pending := r.search.pending
	r.resume()
	for _, line := range pending {
		r.start(line.at)
		text, whole := cutNewline(line.text)
		r.accept(text)
		if whole {
			r.batch = append(r.batch, '\n')
			r.remember()
		}
	}
}

func cutNewline(text []byte) ([]byte, bool) {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		return text[:n-1], true
	}
	return text, false
}
