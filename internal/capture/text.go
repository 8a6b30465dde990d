package capture

import (
	"errors"

	"github.com/job-handler/job-handler/internal/logpack"
)

// errTaken ends the reading of a log to which nothing more may be added.
var errTaken = errors.New("the log was taken as it is")

// text is a log in memory. A nil *text is empty, and may be dropped and pinned.
type text struct {
	memory *memory
	// owner is the namespace of the log.
	owner string
	// Recorder has it compressed too once it is longer than its text may be, if there
	// was memory for that then; packing is true while more may come.
	logpack.Recorder
	packing bool
	// taken is true once nothing may be added, pins how many read it: nothing
	// may change then.
	taken bool
	pins  int
	// dropped is true once only its present readers need it.
	dropped bool
	// used is what the buffer takes, at most.
	used int
	// stored is true once a copy is stored, released once this one is given up for
	// others that have none.
	stored, released bool
}

// Write implements io.Writer. It fails once the text was taken or dropped.
func (t *text) Write(p []byte) (int, error) {
	m := t.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.taken {
		return 0, errTaken
	}
	if t.Outgrows(len(p)) {
		t.pack()
	}
	// While it grows, a buffer is there twice for a moment.
	if size := t.size(len(p)); size > t.used && m.used+size > m.limit {
		m.shrink()
	}
	n, err := t.Recorder.Write(p)
	m.account(t, t.size(0))
	return n, err
}

// size returns what the buffer may take with so many bytes more: it doubles as
// it grows.
func (t *text) size(more int) int {
	return min(t.Text.Capacity(), max(smallestText, 2*(t.Text.Kept()+more)))
}

// pack compresses the log from now on, if its text has all of it. It does not if too
// many logs are being compressed, in all or in its namespace.
func (t *text) pack() {
	m := t.memory
	if !t.MayPack() || !m.mayPack(t.owner) {
		return
	}
	t.packing = true
	m.packing++
	m.packingOf[t.owner]++
	t.Pack(m.pool.OpenFor(t.owner, false))
}

// close ends the text: nothing more may be added. Called with the lock held.
func (t *text) close() {
	t.taken = true
	if !t.packing {
		return
	}
	// It never fails.
	_ = t.Packed.Close()
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

// cut has the text take no more than limit bytes. What is whole until then is
// compressed first.
func (t *text) cut(limit int) {
	if t.Text.Kept() >= leastPacked {
		t.pack()
	}
	if t.taken {
		t.close()
	}
	t.Text.Shrink(limit)
	t.memory.account(t, limit)
}

func (t *text) seen() int64 {
	if t == nil {
		return 0
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	return t.Text.Seen()
}

// drop gives the memory back, at once or when the last reader is done.
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

// pin has the text stay as it is until unpin is called as often.
func (t *text) pin() {
	if t == nil {
		return
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	t.close()
	if t.pins++; t.Packed != nil {
		t.memory.pool.Pin(t.Packed)
	}
}

func (t *text) unpin() {
	if t == nil {
		return
	}
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	t.pins--
	if t.Packed != nil {
		t.memory.pool.Unpin(t.Packed)
	}
	if t.dropped && t.pins == 0 {
		t.memory.remove(t)
	}
}

// release gives the text up, since a copy of it is stored. How much there was of it
// stays known.
func (t *text) release() {
	t.Text.Shrink(0)
	t.released = true
	t.memory.account(t, 0)
	if t.Packed != nil {
		t.memory.pool.Drop(t.Packed)
		t.Packed = nil
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
		t.giveUpLong()
	}
}

// giveUpLong gives up a log that is stored and compressed here: where there is no
// memory for more of those they lose their middle, stored or not.
func (t *text) giveUpLong() {
	if t.Packed == nil || t.released {
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
