package logpack

import (
	"slices"

	"github.com/job-handler/job-handler/internal/logtext"
)

// Gap returns what was left out behind Excerpt().HeadBytes bytes.
func (l *Log) Gap() logtext.Gap {
	if l.omittedBytes == 0 {
		return logtext.Gap{}
	}
	return logtext.Gap{Bytes: l.omittedBytes, Newlines: l.omittedNewlines, Last: l.lastOmitted}
}

// Skip has what is written next come after a gap: it is the tail of a log whose
// middle is not there. It is called once at most, and changes nothing where gap
// is empty.
func (l *Log) Skip(gap logtext.Gap) {
	if gap.Bytes == 0 {
		return
	}
	if len(l.pending) > 0 {
		l.seal(len(l.pending))
	}
	l.pool.skip(l, gap)
}

func (p *Pool) skip(l *Log, gap logtext.Gap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.omittedBytes == 0 {
		l.gap = len(l.chunks)
	}
	// Of a head from whose middle the pool took something, the end cannot be kept
	// too: there is one gap.
	for _, gone := range l.chunks[l.gap:] {
		l.size -= len(gone.packed)
		l.raw -= gone.raw
		l.omittedBytes += gone.raw
		l.omittedNewlines += gone.newlines
		p.used -= len(gone.packed)
		p.raw -= gone.raw
		p.give(gone.packed)
	}
	l.chunks = slices.Delete(l.chunks, l.gap, len(l.chunks))
	l.omittedBytes += gap.Bytes
	l.omittedNewlines += gap.Newlines
	l.lastOmitted = gap.Last
}
