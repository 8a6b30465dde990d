package capture

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
)

// pressedPart is which part of the memory may be in use, by what is not stored,
// before pods are stored at once that have ended: so that they are when there is
// none left.
const pressedPart = 2

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

// shortBy returns the namespaces of which pods are to be stored at once, since what
// has no stored copy takes more than it should: those above an equal share of that;
// nil while memory is not short.
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

// releaseStored gives up texts of which a copy is stored, the longest first, until
// a quarter of the memory is free.
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

// release gives the text up, since a copy of it is stored. How much there was of it
// stays known.
func (t *text) release() {
	t.buffer.Shrink(0)
	t.released = true
	t.memory.account(t, 0)
	if t.packed != nil {
		t.memory.pool.Drop(t.packed)
		t.packed = nil
	}
}

// all returns the log compressed where its text does not have all of it, nil where
// there is no such. The text is pinned.
func (t *text) all() *logpack.Log {
	if t == nil {
		return nil
	}
	return t.whole()
}

// kept returns how many bytes of the log are kept. The text is pinned.
func (t *text) kept() int64 {
	if packed := t.whole(); packed != nil {
		return packed.Excerpt().Kept()
	}
	return int64(t.buffer.Kept())
}

// setStored notes that a copy of the text is stored.
func (t *text) setStored() {
	if t == nil {
		return
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	if !t.stored {
		t.stored = true
		t.memory.spare += t.used
		t.memory.hold(0)
		t.giveUpLong()
	}
}

// giveUpLong gives up a log that is stored and compressed here: where there is no
// memory for more of those they lose their middle, stored or not.
func (t *text) giveUpLong() {
	if t.packed == nil || t.released {
		return
	}
	if t.pins == 0 {
		t.release()
	}
}

// isReleased reports whether the text is nowhere but in its stored copy.
func (t *text) isReleased() bool {
	if t == nil {
		return false
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	return t.released
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
	t := &text{memory: m, owner: namespace, buffer: buffer, packed: packed, taken: true}
	m.texts[t] = struct{}{}
	m.account(t, size)
	return t
}
