package capture

import (
	"cmp"
	"slices"

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
		t.buffer, t.released = logtext.NewBuffer(0), true
		m.account(t, 0)
	}
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

// adopt returns buffer as a text to which nothing is added, shorter where there is
// no room for all of it. Besides it takes extra bytes.
func (m *memory) adopt(buffer *logtext.Buffer, extra int) *text {
	m.mu.Lock()
	defer m.mu.Unlock()
	buffer.Shrink(buffer.Kept())
	size := buffer.Capacity() + extra
	if m.used+size > m.limit {
		m.shrink()
	}
	if over := m.used + size - m.limit; over > 0 {
		buffer.Shrink(buffer.Capacity() - over)
		size = buffer.Capacity() + extra
	}
	t := &text{memory: m, buffer: buffer, taken: true}
	m.texts[t] = struct{}{}
	m.account(t, size)
	return t
}
