package capture

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
)

const (
	// What can be read without unpacking is no more.
	maxText = api.MaxResultsBytes
	// Of all memory for text no log takes more than this part, so that there is
	// room for it to move to where it has more.
	textShare = 8
	// packedShare is the part of all memory that is for logs compressed,
	// pendingShare the part for what is about to be.
	packedShare  = 2
	pendingShare = 8
	// leastPacked is from how many bytes on a text that has to be cut is compressed
	// before.
	leastPacked = 32 << 10
	// smallestText is what a text takes at first.
	smallestText = 512
)

// errTaken ends the reading of a log to which nothing more may be added.
var errTaken = errors.New("the log was taken as it is")

// memory bounds what logs hold. While there is enough, a text grows up to maxText,
// and a log that is longer is compressed besides. When it runs short, namespaces have
// equal shares: those above theirs are cut, the longest texts of each to equal parts,
// so that neither a short log is cut because of a long one, nor that of a namespace
// with few because of one with many; and of those that are compressed the largest
// lose their middle, of the namespace that has most.
type memory struct {
	mu    sync.Mutex
	limit int
	// used is what all texts take, spare how much of that those do of which a copy
	// is stored.
	used, spare int
	// restored is what restored pods take besides their logs, at most mostRestored.
	restored, mostRestored int
	texts                  map[*text]struct{}
	// pressed is true while so much is in use that what may be stored should be,
	// pressure tells that it has become so.
	pressed  bool
	pressure func()
	// cuts counts how often a text was cut.
	cuts int64
	// pool has the logs compressed, in memory of its own.
	pool *logpack.Pool
	// packing is how many logs are being compressed, at most mostPacking: each has
	// logpack.ChunkBytes to work with. packingOf is how many of a namespace are.
	packing, mostPacking int
	packingOf            map[string]int
}

// text is a log in memory. A nil *text is empty, and may be dropped and pinned.
type text struct {
	memory *memory
	// owner is the namespace of the log.
	owner  string
	buffer *logtext.Buffer
	// packed is the same log compressed, once it is longer than the buffer, if
	// there was memory for that then; packing is true while more may come.
	packed  *logpack.Log
	packing bool
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
	packed, pending := limit/packedShare, limit/pendingShare
	return &memory{
		limit: limit - packed - pending, texts: map[*text]struct{}{}, pool: logpack.NewPool(packed),
		pressure: func() {}, mostPacking: max(1, pending/logpack.ChunkBytes), packingOf: map[string]int{},
		mostRestored: max(leastRestored, limit/restoredShare),
	}
}

// open returns an empty text of a log of this namespace.
func (m *memory) open(owner string) *text {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &text{memory: m, owner: owner, buffer: logtext.NewBuffer(min(maxText, m.limit/textShare))}
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
	if t.buffer.Kept()+len(p) > t.buffer.Capacity() {
		t.pack()
	}
	// While it grows, a buffer is there twice for a moment.
	if size := t.size(len(p)); size > t.used && m.used+size > m.limit {
		m.shrink()
	}
	if t.packed != nil {
		// It never fails.
		_, _ = t.packed.Write(p)
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

// pack has the log, of which the buffer has all, be compressed from now on, unless
// too many are, of all or of its namespace.
func (t *text) pack() {
	m := t.memory
	if t.packed != nil || !t.buffer.Whole() || !m.mayPack(t.owner) {
		return
	}
	t.packed, t.packing = m.pool.OpenFor(t.owner, false), true
	m.packing++
	m.packingOf[t.owner]++
	// It never fails.
	_, _ = t.packed.Write(t.buffer.Head())
}

// mayPack reports whether one more log of the namespace may be compressed. A
// namespace with fewer than its share may where too many are: a log of the namespace
// with most is not kept compressed then, so that no more than its text is left.
func (m *memory) mayPack(owner string) bool {
	if m.packing < m.mostPacking {
		return true
	}
	share := m.mostPacking / (len(m.packingOf) + 1)
	if m.packingOf[owner] >= share {
		return false
	}
	var victim *text
	for t := range m.texts {
		if t.packing && (victim == nil || m.packingOf[t.owner] > m.packingOf[victim.owner]) {
			victim = t
		}
	}
	if victim == nil || m.packingOf[victim.owner] <= share {
		return false
	}
	victim.endPacking()
	m.pool.Drop(victim.packed)
	victim.packed = nil
	m.cuts++
	return true
}

// close ends the text: nothing more may be added. Called with the lock held.
func (t *text) close() {
	t.taken = true
	if !t.packing {
		return
	}
	// It never fails.
	_ = t.packed.Close()
	t.endPacking()
}

func (t *text) endPacking() {
	t.packing = false
	t.memory.packing--
	if t.memory.packingOf[t.owner]--; t.memory.packingOf[t.owner] == 0 {
		delete(t.memory.packingOf, t.owner)
	}
}

// end ends the text: nothing more may be added.
func (t *text) end() {
	if t == nil {
		return
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	if !t.dropped {
		t.close()
	}
}

// whole returns the log compressed where its text does not have all of it.
func (t *text) whole() *logpack.Log {
	if t.buffer.Whole() {
		return nil
	}
	return t.packed
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
// stored, and where that is not enough it cuts the longest of the namespaces that
// have most, as far as they may be cut.
func (m *memory) shrink() {
	if m.releaseStored(); m.used <= m.limit*3/4 {
		return
	}
	texts, budget := map[string][]*text{}, m.limit*3/4-m.used
	for t := range m.texts {
		if t.pins == 0 {
			texts[t.owner] = append(texts[t.owner], t)
			budget += t.used
		}
	}
	owners := slices.Collect(maps.Keys(texts))
	sizes := make([]int, len(owners))
	for i, owner := range owners {
		sizes[i] = usedBy(texts[owner])
	}
	for i, limit := range logtext.FairShare(sizes, budget) {
		m.cutTo(texts[owners[i]], limit)
	}
}

func usedBy(texts []*text) int {
	used := 0
	for _, t := range texts {
		used += t.used
	}
	return used
}

// cutTo cuts the longest of texts, so that all of them take no more than budget.
func (m *memory) cutTo(texts []*text, budget int) {
	sizes := make([]int, len(texts))
	for i, t := range texts {
		sizes[i] = t.used
	}
	for i, limit := range logtext.FairShare(sizes, budget) {
		if limit < sizes[i] {
			texts[i].cut(limit)
			m.cuts++
		}
	}
}

// cut has the text take no more than limit bytes. What is whole until then is
// compressed first.
func (t *text) cut(limit int) {
	if t.buffer.Kept() >= leastPacked {
		t.pack()
	}
	if t.taken {
		t.close()
	}
	t.buffer.Shrink(limit)
	t.memory.account(t, limit)
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
	t.close()
	t.dropped = true
	if t.pins == 0 {
		t.memory.remove(t)
	}
}

func (m *memory) remove(t *text) {
	m.account(t, 0)
	delete(m.texts, t)
	if t.packed != nil {
		m.pool.Drop(t.packed)
	}
}

// pin has the text stay as it is until unpin is called as often.
func (t *text) pin() {
	if t == nil {
		return
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	t.close()
	if t.pins++; t.packed != nil {
		t.memory.pool.Pin(t.packed)
	}
}

func (t *text) unpin() {
	if t == nil {
		return
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	t.pins--
	if t.packed != nil {
		t.memory.pool.Unpin(t.packed)
	}
	if t.dropped && t.pins == 0 {
		t.memory.remove(t)
	}
}
