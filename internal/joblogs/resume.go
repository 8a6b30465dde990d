package joblogs

import (
	"hash/maphash"
	"slices"
	"strings"
	"time"
)

const (
	// recentLines is how many of the lines passed on last are remembered, to find
	// the place where a stream goes on that was opened later: 24 bytes each.
	recentLines = 256
	// maxPending is how much of what a new stream brings is held back, in bytes,
	// while it is not known whether it was seen before.
	maxPending = 256 << 10
	// rereadBytes is up to how much of a log is read again from its beginning, so
	// that what comes does not depend on the node's clock.
	rereadBytes = 1 << 20
	// sinceMargin is how much earlier than the lines remembered a new stream
	// starts. Lines are not always in the order of their timestamps: two outputs
	// of a container race, and clocks are set back.
	sinceMargin = time.Minute
	// leastGap is how far apart two lines have to be for another log file to have
	// been between them, where the file before was read to its end: kubelets
	// rotate a log every 10 seconds at most, unless they are told otherwise.
	leastGap = 5 * time.Second
)

// seenLine is a line that was passed on, or the part of one.
type seenLine struct {
	at   stamp
	size int64
	hash uint64
}

// resumed puts the log of one container together from the streams in which it
// comes, each line once. What a stream brings that was passed on before is found
// by its timestamps and its content: a stream that was opened again starts, by
// whole seconds, before the place where the last one broke off, or, where the log
// was rotated meanwhile, after it. It implements lines for one stream after the
// other.
type resumed struct {
	seed maphash.Seed
	// recent are the last lines passed on whole, in order.
	recent []seenLine
	// current is what was passed on of a line that has no end yet.
	current seenLine
	hash    maphash.Hash
	// open is true if current is the beginning of a line.
	open bool
	// first is the stamp of the line passed on first, latest the greatest of all,
	// forgotten the greatest of those that are not remembered.
	first, latest, forgotten stamp
	// size is how much was passed on, in bytes; what is less than reread is read
	// again from its beginning.
	size, reread int64

	// held is what came of the current line and was not passed on yet: at the end
	// of a log it may be the kubelet's error. left is what was held when the last
	// stream broke off, of the line from leftAt, which should come again.
	held, left []byte
	leftAt     stamp
	// batch is what is passed on next.
	batch []byte

	search search
	// gap is from when to when lines may be missing, since the log was rotated
	// while no stream was open; zero where none are.
	gap gap
	// atEnd is true if the last stream ended at the end of a log file.
	atEnd bool
	// back is the timestamp of a line from before all that are remembered, with
	// which a stream was given up; trusted counts the lines that may be so, since
	// the stream is known to go on where the last one ended.
	back    stamp
	trusted int
}

type gap struct{ from, to stamp }

// search is the state of a stream that has not come to what is new.
type search struct {
	on bool
	// found is how many of the lines remembered were found.
	found int
	// line is the one that is coming, kept in buffer as far as that is allowed.
	line   seenLine
	hash   maphash.Hash
	buffer []byte
	// pending are lines that are known neither to be old nor to be new.
	pending []pendingLine
	size    int
}

type pendingLine struct {
	at   stamp
	text []byte
}

func newResumed() *resumed {
	r := &resumed{seed: maphash.MakeSeed(), reread: rereadBytes}
	r.hash.SetSeed(r.seed)
	r.search.hash.SetSeed(r.seed)
	return r
}

// since returns the time from which a new stream must start, zero: from the
// beginning of what there is.
func (r *resumed) since() time.Time {
	earliest := r.earliest()
	if earliest == 0 || r.size < r.reread {
		return time.Time{}
	}
	if r.back > 0 {
		earliest = min(earliest, r.back)
	}
	return earliest.time().Add(-sinceMargin).Truncate(time.Second)
}

// begun reports whether anything was passed on.
func (r *resumed) begun() bool { return r.open || len(r.recent) > 0 }

// opened begins a new stream.
func (r *resumed) opened() {
	r.held, r.back = r.held[:0], 0
	r.search.reset()
	r.search.on = r.begun()
}

func (s *search) reset() {
	s.found, s.line, s.buffer, s.pending, s.size = 0, seenLine{}, nil, nil, 0
	s.hash.Reset()
}

// brokeOff ends a stream of which more is to come in another. Of a line whose
// beginning was not passed on yet nothing counts.
func (r *resumed) brokeOff() {
	if r.search.on {
		return
	}
	r.left, r.leftAt = append(r.left[:0], r.held...), r.current.at
	r.held = r.held[:0]
	r.open = r.open && r.current.size > 0
}

// ended ends a stream that came to its end: what is held counts.
func (r *resumed) ended() {
	if r.search.on {
		if s := &r.search; len(s.buffer) > 0 && !r.knows(s.line.at) && (s.line.at > r.forgotten || s.line.at >= r.earliest()) {
			s.hold()
		}
		if len(r.search.pending) > 0 {
			r.missed(r.search.pending[0].at)
		}
		r.goOn()
		return
	}
	r.accept(r.held)
	r.held = r.held[:0]
	r.open = r.open && r.current.size > 0
}

// closed passes on what was held of a line when the last stream broke off.
func (r *resumed) closed() {
	r.batch = append(r.batch, r.left...)
	r.left = nil
}

// begin implements lines.
func (r *resumed) begin(at stamp) {
	switch {
	case r.back > 0:
	case r.search.on:
		r.search.begin(at)
		if at > r.latest {
			r.missed(at)
			r.goOn()
			r.keepLeft(at)
			r.begin(at)
		}
	case r.repeated(at):
		r.search.reset()
		r.search.on = true
		r.search.begin(at)
	case r.farBack(at):
		r.back = at
	default:
		r.start(at)
	}
}

// start begins a line that is new. Where the log was rotated within a line, the
// rest of that comes as a line of its own, and is put to it.
func (r *resumed) start(at stamp) {
	r.current = seenLine{at: at}
	r.hash.Reset()
	r.open = true
}

// keepLeft passes on what is left of a line that broke off, unless it is the one
// from at: it does not come again.
func (r *resumed) keepLeft(at stamp) {
	if len(r.left) == 0 || at == r.leftAt {
		return
	}
	if !r.open {
		r.start(r.leftAt)
	}
	r.accept(r.left)
}

// repeated reports whether the stream has gone back to a line that was passed on:
// a kubelet that is late opens a rotated log twice.
func (r *resumed) repeated(at stamp) bool {
	return at > 0 && at < r.current.at && r.trusted == 0 && r.knows(at)
}

// knows reports whether a line that is remembered has this timestamp.
func (r *resumed) knows(at stamp) bool {
	return r.open && r.current.at == at ||
		slices.ContainsFunc(r.recent, func(line seenLine) bool { return line.at == at })
}

// farBack reports whether a line is from before all that are remembered. Either
// the clock was set back, or the kubelet repeats what is not remembered any more:
// a new stream tells.
func (r *resumed) farBack(at stamp) bool {
	return at > 0 && at < r.current.at && len(r.recent) >= recentLines && r.trusted == 0 && at < r.earliest()
}

// earliest returns the least timestamp of what is remembered, 0 where none has
// one.
func (r *resumed) earliest() stamp {
	var earliest stamp
	if r.open {
		earliest = r.current.at
	}
	for _, line := range r.recent {
		if line.at > 0 && (earliest == 0 || line.at < earliest) {
			earliest = line.at
		}
	}
	return earliest
}

// text implements lines.
func (r *resumed) text(p []byte) {
	switch {
	case r.back > 0:
	case r.search.on:
		r.compare(p)
	default:
		r.held = append(r.held, p...)
		if len(r.held) > maxErrorText {
			r.accept(r.held)
			r.held = r.held[:0]
		}
	}
}

// end implements lines.
func (r *resumed) end() {
	switch {
	case r.back > 0:
	case r.search.on:
		r.endSearched()
	default:
		r.accept(r.held)
		r.held = r.held[:0]
		r.batch = append(r.batch, '\n')
		r.remember()
	}
}

// accept passes text of the current line on.
func (r *resumed) accept(text []byte) {
	if len(text) == 0 {
		return
	}
	r.left = r.left[:0]
	r.passed()
	r.size += int64(len(text))
	_, _ = r.hash.Write(text)
	r.current.size += int64(len(text))
	r.batch = append(r.batch, text...)
}

// passed notes that something of the current line is passed on.
func (r *resumed) passed() {
	if r.first == 0 {
		r.first = r.current.at
	}
	r.latest = max(r.latest, r.current.at)
}

// remember ends the current line.
func (r *resumed) remember() {
	r.left = r.left[:0]
	r.passed()
	r.size++
	r.current.hash = r.hash.Sum64()
	if len(r.recent) == cap(r.recent) && len(r.recent) > 0 {
		r.forget(len(r.recent) - recentLines + 1)
	}
	if r.recent == nil {
		r.recent = make([]seenLine, 0, 2*recentLines)
	}
	r.recent = append(r.recent, r.current)
	r.open, r.current.size = false, 0
	r.trusted = max(0, r.trusted-1)
}

// forget forgets the first lines that are remembered.
func (r *resumed) forget(lines int) {
	for _, line := range r.recent[:lines] {
		r.forgotten = max(r.forgotten, line.at)
	}
	r.recent = r.recent[:copy(r.recent, r.recent[lines:])]
}

// dropError takes the kubelet's error off the last line, which has no end, and
// returns it, "" if there is none. What the container itself wrote is passed on.
func (r *resumed) dropError(t *task) string {
	line := string(r.held)
	at := strings.LastIndex(line, notFoundText)
	if at < 0 || !namesContainer(line[at:], t) {
		return ""
	}
	r.held = r.held[:at]
	return line[at:]
}
