package results

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
)

const (
	// inlinePercent is how much of the object's room for logs logs.gz takes at most
	// before it is put into parts, where there may be parts. The rest is for the
	// readable text.
	inlinePercent = 75
	// previewBytes is what is left for the readable text at least, in bytes, where
	// logs.gz has to be shortened anyway; no more than a previewShare of the room.
	previewBytes = 16 << 10
	previewShare = 4
	// leastPreview is the same where that keeps logs.gz whole: enough to say that the
	// logs are in there.
	leastPreview = 1 << 10
	// minArchive is the least room, in bytes, in which logs.gz is tried.
	minArchive = 1 << 10
	// archiveTries bounds how often logs.gz is put together to find out how much
	// of the logs fits.
	archiveTries = 5
	// wellFilled is how much of its room, in percent, is good enough.
	wellFilled = 95
	// leastPacked is from how many bytes on a log is compressed by itself, so that
	// it is known what it takes.
	leastPacked = 32 << 10
	// memberBytes is what a gzip file takes besides its content.
	memberBytes = 32
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

// packedLogs are the values of logs and logs.gz.
type packedLogs struct {
	text string
	// gzip is nil where text has all that was read as it was written.
	gzip []byte
	// parts is true where gzip is not in the object itself.
	parts bool
}

// packLogs returns the values of logs and logs.gz within room, and notes in the
// views how much of each log is kept and where.
func packLogs(pods []*podView, missing missingPods, room rooms) (packedLogs, error) {
	if mayBeExact(pods) {
		if text := writeLogs(pods, missing, room.object); exact(pods) {
			return packedLogs{text: text}, nil
		}
	}
	archive, err := compressLogs(pods, room)
	if err != nil {
		return packedLogs{}, err
	}
	left, parts := room.text(len(archive.gzip))
	p := packedLogs{text: writeLogs(pods, missing, left), gzip: archive.gzip, parts: parts}
	if archive.gzip == nil {
		return p, nil
	}
	for _, c := range all(pods) {
		for _, l := range c.instances() {
			l.exact = nil
		}
	}
	for i := range archive.places {
		place := &archive.places[i]
		place.log.exact, place.log.excerpt = &place.exact, place.excerpt
	}
	return p, nil
}

// mayBeExact reports whether every log is all there as text.
func mayBeExact(pods []*podView) bool {
	for _, c := range all(pods) {
		for _, l := range c.instances() {
			if l.text != nil && !l.text.Whole() {
				return false
			}
		}
	}
	return true
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

// compressLogs returns the logs compressed: whole where that fits into room, else
// as much of them as does; an empty archive where that is nothing.
func compressLogs(pods []*podView, room rooms) (archive, error) {
	sections := importantSections(pods)
	pool := logpack.NewPool(math.MaxInt)
	for _, s := range sections {
		s.pack(pool)
		s.limit = s.want
	}
	if room.whole() < minArchive || len(sections) == 0 {
		return archive{}, nil
	}
	whole, err := writeArchive(sections, room.whole())
	if err != nil || whole.gzip != nil {
		return whole, err
	}
	return shortenLogs(sections, room.shortened())
}

// shortenLogs returns as much of the logs as fits into room bytes compressed.
func shortenLogs(sections []*section, room int) (archive, error) {
	var best archive
	if room < minArchive {
		return best, nil
	}
	for try, budget, size := 1, 0, 0; try < archiveTries && size < room*wellFilled/100; try++ {
		budget = nextBudget(budget, size, room)
		chosen := sections[:fitting(sections, budget)]
		share(chosen, budget)
		tried, err := writeArchive(chosen, room)
		if err != nil {
			return archive{}, err
		}
		if size = len(tried.gzip); size > len(best.gzip) {
			best = tried
		}
	}
	return best, nil
}

// nextBudget returns how much of the logs to try next, after budget of them made
// size bytes of room, or too many if size is 0.
func nextBudget(budget, size, room int) int {
	switch {
	case budget == 0:
		// That fits also where nothing can be compressed.
		return room - room/50 - minArchive/2
	case size == 0:
		return budget - budget/8
	default:
		return int(float64(budget) * float64(room) / float64(size) * 0.98)
	}
}

// pack has the section be written compressed where the log is, or is large
// enough. What it wants is what it takes then, else what its text does.
func (s *section) pack(pool *logpack.Pool) {
	text := s.log.text
	if text == nil {
		return
	}
	s.want = text.Kept()
	if p := s.log.packed; p != nil && p.Excerpt().Kept() >= int64(text.Kept()) {
		s.packed = p
	} else if text.Whole() && text.Kept() >= leastPacked {
		s.packed = pool.Open(s.failed)
		// It never fails.
		_, _ = s.packed.Write(text.Head())
		_ = s.packed.Close()
	}
	if s.packed != nil {
		s.want = s.packed.Size()
	}
}

// writeArchive puts sections together in the order in which logs has them. The
// archive is empty where that takes more than room bytes.
func writeArchive(sections []*section, room int) (archive, error) {
	ordered := slices.SortedFunc(slices.Values(sections), func(a, b *section) int { return cmp.Compare(a.place, b.place) })
	compressor, pooled := compressors.Get().(*gzip.Writer)
	if !pooled {
		// The level is one of those that there are.
		compressor, _ = gzip.NewWriterLevel(nil, logpack.Level)
	}
	defer compressors.Put(compressor)
	size := minArchive
	for _, s := range sections {
		size += s.fixed() + s.limit
	}
	out := &boundedBuffer{room: room}
	out.Grow(min(room, size))
	w := &archiveWriter{out: out, gzip: compressor}
	for _, s := range ordered {
		w.section(s)
	}
	w.endMember()
	if errors.Is(w.err, errFull) {
		return archive{}, nil
	}
	return archive{gzip: out.Bytes(), places: w.places}, w.err
}

// compressors holds *gzip.Writer: a new one allocates about 1 MB.
var compressors sync.Pool

// archiveWriter writes what logs.gz holds, laid out as logs is, but with the
// bytes of the logs as they were written. What was left out of a log is said
// above it, so that what is kept of it is in one piece. It is a gzip file of
// several members: logs that are compressed already are put between the others.
type archiveWriter struct {
	out  *boundedBuffer
	gzip *gzip.Writer
	// inMember is true while gzip has something to end.
	inMember bool
	written  int64
	places   []place
	err      error
}

func (w *archiveWriter) section(s *section) {
	if w.written > 0 {
		w.write([]byte{'\n'})
	}
	w.write([]byte(s.heading))
	switch {
	case s.packed != nil:
		w.packed(s)
	case s.log.seen() > 0:
		w.log(s)
	}
	w.write([]byte(s.notes))
}

// packed writes a log that is compressed already.
func (w *archiveWriter) packed(s *section) {
	fitted, err := s.packed.Fit(s.limit)
	if w.err == nil {
		w.err = err
	}
	if w.err != nil {
		return
	}
	excerpt := fitted.Excerpt()
	w.begin(s, excerpt)
	w.endMember()
	for _, member := range fitted.Members() {
		if _, err := w.out.Write(member); err != nil {
			w.err = err
			return
		}
	}
	w.written += excerpt.Kept()
	if excerpt.Kept() > 0 && !fitted.EndsLine() {
		w.write([]byte{'\n'})
	}
}

func (w *archiveWriter) log(s *section) {
	head, tail, excerpt := s.log.text.Raw(logtext.Limits{Bytes: s.limit, TailFirst: s.failed})
	w.begin(s, excerpt)
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

// begin says what is left out of a log, and notes where it starts.
func (w *archiveWriter) begin(s *section, excerpt logtext.Excerpt) {
	if excerpt.OmittedBytes > 0 {
		w.write(fmt.Appendf(nil, "[job-handler: %s left out after the first %s of this log]\n",
			omitted(excerpt.OmittedBytes, excerpt.OmittedLines), logtext.Count(excerpt.HeadBytes, "byte")))
	}
	p := place{log: s.log, excerpt: excerpt, exact: ExactRecord{Offset: w.written}}
	if excerpt.OmittedBytes > 0 {
		p.exact.HeadBytes = excerpt.HeadBytes
	}
	w.places = append(w.places, p)
}

func (w *archiveWriter) write(p []byte) {
	if w.err != nil || len(p) == 0 {
		return
	}
	if !w.inMember {
		w.gzip.Reset(w.out)
		w.inMember = true
	}
	_, w.err = w.gzip.Write(p)
	w.written += int64(len(p))
}

func (w *archiveWriter) endMember() {
	if w.inMember && w.err == nil {
		w.err = w.gzip.Close()
	}
	w.inMember = false
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
	// It never fails.
	_, _ = b.Buffer.Write(p)
	return len(p), nil
}
