package capture

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
)

const (
	// What can be read without unpacking is no more, and texts are not compressed
	// here.
	maxText = api.MaxResultsBytes
	// Of all memory no log takes more than this part, so that there is room for
	// it to move to where it has more.
	textShare = 8
	// smallestText is what a text takes at first.
	smallestText = 512
)

// errTaken ends the reading of a log to which nothing more may be added.
var errTaken = errors.New("the log was taken as it is")

// memory bounds what texts hold. While there is enough, a text grows up to
// maxText; when it runs short the longest are cut to equal parts, so that a
// short log is never cut because of a long one.
type memory struct {
	mu    sync.Mutex
	limit int
	// used is what all texts take, spare how much of that those do of which a copy
	// is stored.
	used, spare int
	texts       map[*text]struct{}
	// pressed is true while so much is in use that what may be stored should be,
	// pressure tells that it has become so.
	pressed  bool
	pressure func()
	// cuts counts how often a text was cut.
	cuts int64
}

// text is a log in memory. A nil *text is empty, and may be dropped and pinned.
type text struct {
	memory *memory
	buffer *logtext.Buffer
	// redacted counts what was replaced in it; known at the end of a try, and
	// guarded by Captures.mu.
	redacted redact.Counts
	// taken is true once nothing may be added, pins how many read it: nothing
	// may change then.
	taken bool
	pins  int
	// dropped is true once nobody wants it but those who read it.
	dropped bool
	// used is what the buffer takes, at most.
	used int
	// stored is true once a copy is stored, released once this one is given up for
	// others that have none.
	stored, released bool
}

func newMemory(limit int) *memory {
	return &memory{limit: limit, texts: map[*text]struct{}{}, pressure: func() {}}
}

// open returns an empty text.
func (m *memory) open() *text {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &text{memory: m, buffer: logtext.NewBuffer(min(maxText, m.limit/textShare))}
	m.texts[t] = struct{}{}
	return t
}

// Write implements io.Writer. It fails once the text was taken or dropped.
func (t *text) Write(p []byte) (int, error) {
	m := t.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.taken {
		return 0, errTaken
	}
	// While it grows, a buffer is there twice for a moment.
	if size := t.size(len(p)); size > t.used && m.used+size > m.limit {
		m.shrink()
	}
	n, err := t.buffer.Write(p)
	m.account(t, t.size(0))
	return n, err
}

// size returns what the buffer may take with so many bytes more: it doubles as
// it grows.
func (t *text) size(more int) int {
	return min(t.buffer.Capacity(), max(smallestText, 2*(t.buffer.Kept()+more)))
}

// account notes what t takes.
func (m *memory) account(t *text, size int) {
	if t.stored {
		m.spare += size - t.used
	}
	m.hold(size - t.used)
	t.used = size
}

// shrink makes a quarter of the memory free: it releases texts of which a copy is
// stored, and where that is not enough it cuts the longest, as far as they may be
// cut.
func (m *memory) shrink() {
	if m.releaseStored(); m.used <= m.limit*3/4 {
		return
	}
	texts := slices.Collect(maps.Keys(m.texts))
	texts = slices.DeleteFunc(texts, func(t *text) bool { return t.pins > 0 })
	sizes, budget := make([]int, len(texts)), m.limit*3/4-m.used
	for i, t := range texts {
		sizes[i] = t.used
		budget += t.used
	}
	for i, limit := range logtext.FairShare(sizes, budget) {
		if limit < sizes[i] {
			texts[i].buffer.Shrink(limit)
			m.account(texts[i], limit)
			m.cuts++
		}
	}
}

func (t *text) seen() int64 {
	if t == nil {
		return 0
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	return t.buffer.Seen()
}

// drop gives the memory back, at the latest when nobody reads the text.
func (t *text) drop() {
	if t == nil {
		return
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	t.taken, t.dropped = true, true
	if t.pins == 0 {
		t.memory.remove(t)
	}
}

func (m *memory) remove(t *text) {
	m.account(t, 0)
	delete(m.texts, t)
}

// pin has the text stay as it is until unpin is called as often.
func (t *text) pin() {
	if t == nil {
		return
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	t.taken = true
	t.pins++
}

func (t *text) unpin() {
	if t == nil {
		return
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	t.pins--
	if t.dropped && t.pins == 0 {
		t.memory.remove(t)
	}
}
