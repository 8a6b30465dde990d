package results

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/job-handler/job-handler/internal/logtext"
)

const (
	// archivePercent is how much of the room for logs logs.gz may take at most;
	// the rest is for the readable text.
	archivePercent = 75
	// minArchive is the least room, in bytes, in which logs.gz is tried.
	minArchive = 1 << 10
	// archiveTries bounds how often the logs are compressed to find out how much
	// of them fits; the last try supposes that nothing can be compressed.
	archiveTries = 4
	// archiveLevel compresses text logs to within 4% of what the default level
	// makes of them, in half the time (276 MB/s against 151).
	archiveLevel = 3
	// archivePiece is how much is compressed at once, in bytes.
	archivePiece = 16 << 10
	// maxOffset has as many digits as an offset into logs can have.
	maxOffset = 9_999_999_999
)

// archive is logs.gz, and where each log is in it.
type archive struct {
	gzip   []byte
	places []place
}

// place is where the bytes of a log are, and which of them.
type place struct {
	log     *instanceLog
	exact   ExactRecord
	excerpt logtext.Excerpt
}

// packLogs returns the values of logs and logs.gz in at most room bytes, and
// notes in the views how much of each log is kept and where. There is no
// logs.gz where logs has all that was read as it was written.
func packLogs(pods []*podView, missing, room int) (string, []byte) {
	text := writeLogs(pods, missing, room)
	if exact(pods) {
		return text, nil
	}
	packed := compressLogs(pods, room*archivePercent/100)
	text = writeLogs(pods, missing, room-len(packed.gzip))
	if packed.gzip == nil {
		return text, nil
	}
	for _, c := range all(pods) {
		for _, l := range c.instances() {
			l.exact = nil
		}
	}
	for i := range packed.places {
		p := &packed.places[i]
		p.log.exact, p.log.excerpt = &p.exact, p.excerpt
	}
	return text, packed.gzip
}

// exact reports whether logs has every log as it was written.
func exact(pods []*podView) bool {
	for _, c := range all(pods) {
		for _, l := range c.instances() {
			if l.seen() > 0 && l.exact == nil {
				return false
			}
		}
	}
	return true
}

// compressLogs returns as much of the logs as fits into room bytes compressed;
// an empty archive where that is nothing.
func compressLogs(pods []*podView, room int) archive {
	sections := importantSections(pods)
	for _, s := range sections {
		if s.log.text != nil {
			s.want = s.log.text.Kept()
		}
		s.limit = s.want
	}
	for try := range archiveTries {
		if room < minArchive || len(sections) == 0 {
			break
		}
		packed, consumed := writeArchive(sections, room)
		if packed.gzip != nil {
			return packed
		}
		budget := consumed - consumed/10
		if try == archiveTries-2 {
			budget = room - room/50 - minArchive/2
		}
		sections = sections[:fitting(sections, budget)]
		share(sections, budget)
	}
	return archive{}
}

// writeArchive compresses sections in the order in which logs has them. Where that takes more than room bytes it gives up; consumed is how
// many bytes it had compressed by then.
func writeArchive(sections []*section, room int) (packed archive, consumed int) {
	ordered := slices.SortedFunc(slices.Values(sections), func(a, b *section) int { return cmp.Compare(a.place, b.place) })
	compressor, pooled := compressors.Get().(*gzip.Writer)
	if !pooled {
		// The level is one of those that there are.
		compressor, _ = gzip.NewWriterLevel(nil, archiveLevel)
	}
	defer compressors.Put(compressor)
	out := &boundedBuffer{room: room}
	compressor.Reset(out)
	w := &archiveWriter{out: compressor}
	for _, s := range ordered {
		w.section(s)
	}
	if w.err != nil || compressor.Close() != nil {
		return archive{}, int(w.written)
	}
	return archive{gzip: out.Bytes(), places: w.places}, int(w.written)
}

// compressors holds *gzip.Writer: a new one allocates about 1 MB.
var compressors sync.Pool

// archiveWriter writes what logs.gz holds, laid out as logs is, but with the
// bytes of the logs as they were written. What was left out of a log is said
// above it, so that what is kept of it is in one piece.
type archiveWriter struct {
	out     io.Writer
	written int64
	places  []place
	err     error
}

func (w *archiveWriter) section(s *section) {
	if w.written > 0 {
		w.write([]byte{'\n'})
	}
	w.write([]byte(s.heading))
	if s.log.seen() > 0 {
		w.log(s)
	}
	w.write([]byte(s.notes))
}

func (w *archiveWriter) log(s *section) {
	head, tail, excerpt := s.log.text.Raw(logtext.Limits{Bytes: s.limit, TailFirst: s.failed})
	if excerpt.OmittedBytes > 0 {
		w.write(fmt.Appendf(nil, "[job-handler: %s left out after the first %s of this log]\n",
			omitted(excerpt.OmittedBytes, excerpt.OmittedLines), logtext.Count(excerpt.HeadBytes, "byte")))
	}
	p := place{log: s.log, excerpt: excerpt, exact: ExactRecord{Offset: w.written}}
	if excerpt.OmittedBytes > 0 {
		p.exact.HeadBytes = excerpt.HeadBytes
	}
	w.places = append(w.places, p)
	w.write(head)
	w.write(tail)
	last := tail
	if len(last) == 0 {
		last = head
	}
	if len(last) > 0 && last[len(last)-1] != '\n' {
		w.write([]byte{'\n'})
	}
}

// write writes p in pieces, so that written tells how far it came where there
// is no room for all of it.
func (w *archiveWriter) write(p []byte) {
	for w.err == nil && len(p) > 0 {
		piece := p[:min(len(p), archivePiece)]
		_, w.err = w.out.Write(piece)
		w.written += int64(len(piece))
		p = p[len(piece):]
	}
}

var errFull = errors.New("no room left")

// boundedBuffer refuses what does not fit into room bytes.
type boundedBuffer struct {
	bytes.Buffer
	room int
}

// Write implements io.Writer.
func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.room {
		return 0, errFull
	}
	return b.Buffer.Write(p) //nolint:wrapcheck // it never fails
}
