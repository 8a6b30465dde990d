package capture

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/sets"

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
	// pressedPart is which part of the memory may be in use, by what is not stored,
	// before pods are stored at once that have ended: so that they are when there is
	// none left.
	pressedPart = 2
)

// memory bounds what logs hold. While there is enough, a text grows up to maxText,
// and a log that is longer is compressed besides. When it runs short, namespaces have
// equal shares: those above theirs are cut, the longest texts of each to equal parts,
// so that neither a short log is cut because of a long one, nor that of a namespace
// with few because of one with many; and of those that are compressed the largest
// lose their middle, of the namespace that has most.
type memory struct {
	mu    sync.Mutex
	limit int
	// used is what all texts take. spare is the part of it taken by texts that have a
	// stored copy.
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
	t := &text{memory: m, owner: owner, Recorder: logpack.Recorder{Text: logtext.NewBuffer(min(maxText, m.limit/textShare))}}
	m.texts[t] = struct{}{}
	return t
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
	m.pool.Drop(victim.Packed)
	victim.Packed = nil
	m.cuts++
	return true
}

// account notes what t takes.
func (m *memory) account(t *text, size int) {
	if t.stored {
		m.spare += size - t.used
	}
	m.hold(size - t.used)
	t.used = size
}

// shrink makes a quarter of the memory free: it releases texts that have a stored copy.
// If that is not enough, it cuts the longest texts of the namespaces that have most, as
// far as they may be cut.
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

func (m *memory) remove(t *text) {
	m.account(t, 0)
	delete(m.texts, t)
	if t.Packed != nil {
		m.pool.Drop(t.Packed)
	}
}

// hold notes that so much more is in use, less where it is negative.
func (m *memory) hold(size int) {
	m.used += size
	pressed := m.used-m.spare > m.limit/pressedPart
	if pressed && !m.pressed {
		m.pressure()
	}
	m.pressed = pressed
}

// reserve takes size bytes for as long as something is worked on, and makes room
// for it; less than 0 gives them back.
func (m *memory) reserve(size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used+size > m.limit && size > 0 {
		m.shrink()
	}
	m.hold(size)
}

// short reports whether what has no stored copy takes more than it should.
func (m *memory) short() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pressed
}

// shortBy returns the namespaces whose pods are to be stored at once, because texts
// without a stored copy take too much memory: those above an equal share of it. It
// returns nil while memory is not short.
func (m *memory) shortBy() sets.Set[string] {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.pressed {
		return nil
	}
	unstored := map[string]int{}
	for t := range m.texts {
		if !t.stored {
			unstored[t.owner] += t.used
		}
	}
	short, all := sets.New[string](), sets.New[string]()
	for owner, used := range unstored {
		if all.Insert(owner); used > m.limit/pressedPart/len(unstored) {
			short.Insert(owner)
		}
	}
	if short.Len() == 0 {
		// Something else has the memory.
		return all
	}
	return short
}

// releaseStored gives up texts that have a stored copy, the longest first, until a
// quarter of the memory is free.
func (m *memory) releaseStored() {
	var stored []*text
	for t := range m.texts {
		if t.stored && !t.released && t.pins == 0 {
			stored = append(stored, t)
		}
	}
	slices.SortFunc(stored, func(a, b *text) int { return cmp.Compare(b.used, a.used) })
	for _, t := range stored {
		if m.used <= m.limit*3/4 {
			return
		}
		t.release()
	}
}

// adopt returns buffer as a text of namespace to which nothing is added, shorter where there is
// no room for all of it. packed is the same log compressed, in the pool, or nil.
func (m *memory) adopt(namespace string, buffer *logtext.Buffer, packed *logpack.Log) *text {
	m.mu.Lock()
	defer m.mu.Unlock()
	buffer.Shrink(buffer.Kept())
	size := buffer.Capacity()
	if m.used+size > m.limit {
		m.shrink()
	}
	if over := m.used + size - m.limit; over > 0 {
		buffer.Shrink(buffer.Capacity() - over)
		size = buffer.Capacity()
	}
	t := &text{memory: m, owner: namespace, Recorder: logpack.Recorder{Text: buffer, Packed: packed}, taken: true}
	m.texts[t] = struct{}{}
	m.account(t, size)
	return t
}
