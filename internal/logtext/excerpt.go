package logtext

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// longLine is how far, in bytes, a cut moves to reach the border of a line.
const longLine = 4 << 10

// Excerpt tells what AppendReadable took of a text. In bytes as written, the
// three add up to all that was.
type Excerpt struct {
	// HeadBytes and TailBytes were taken from the start and the end; a text
	// taken whole is all head.
	HeadBytes, TailBytes int64
	// OmittedBytes lie between them, in OmittedLines lines or parts of lines.
	OmittedBytes, OmittedLines int64
}

// Kept returns how many bytes were taken.
func (e Excerpt) Kept() int64 { return e.HeadBytes + e.TailBytes }

// Limits bound a readable excerpt.
type Limits struct {
	// Bytes is the most that is appended, marker included.
	Bytes int
	// TailFirst gives the tail three quarters of the room, not half.
	TailFirst bool
}

// ReadableSize returns the Limits.Bytes from which on AppendReadable loses
// nothing that is kept.
func (b *Buffer) ReadableSize() int {
	head, tail := b.Head(), b.Tail()
	if b.Whole() {
		return ReadableSize(head) + missingNewline(head)
	}
	return ReadableSize(head) + ReadableSize(tail) + b.overhead()
}

// AppendReadable appends the readable form of the text to dst: whole where it
// is kept whole and fits, else its head and tail around a line that says
// exactly what was left out. Cuts are between lines unless a line is very
// long. What is appended ends with a newline, unless it is empty. If limits
// leave no room for the marker, nothing is appended.
func (b *Buffer) AppendReadable(dst []byte, limits Limits) ([]byte, Excerpt) {
	head := b.Head()
	if b.Whole() && ReadableSize(head)+missingNewline(head) <= limits.Bytes {
		return appendLines(dst, head), Excerpt{HeadBytes: b.seen}
	}
	room := limits.Bytes - b.overhead()
	if room < 0 {
		return dst, Excerpt{OmittedBytes: b.seen, OmittedLines: b.Lines()}
	}
	p := b.pieces(room, limits.TailFirst, readable)
	excerpt := b.excerpt(p)
	dst = appendLines(dst, p.head)
	dst = appendMarker(dst, excerpt.OmittedBytes, excerpt.OmittedLines)
	return appendLines(dst, p.tail), excerpt
}

// Raw returns what limits allow of the text as it was written: all that is kept
// where it fits, else its head and tail. Cuts are between lines unless a line
// is very long. head and tail are valid as those of Head and Tail are.
func (b *Buffer) Raw(limits Limits) (head, tail []byte, excerpt Excerpt) {
	p := pieces{head: b.Head(), tail: b.Tail(), before: b.lastOmitted}
	if room := max(0, limits.Bytes); b.Kept() > room {
		p = b.pieces(room, limits.TailFirst, asWritten)
	}
	return p.head, p.tail, b.excerpt(p)
}

// pieces are what is taken of a text that is not taken whole.
type pieces struct {
	head, tail []byte
	// before is the byte that precedes tail.
	before byte
}

// measure tells how much room text takes, how long the longest prefix is that
// fits into a room, and where the longest suffix starts that does.
type measure struct {
	size           func([]byte) int
	prefix, suffix func(text []byte, room int) int
}

var (
	readable  = measure{ReadableSize, fittingPrefix, fittingSuffix}
	asWritten = measure{
		size:   func(text []byte) int { return len(text) },
		prefix: func(text []byte, room int) int { return min(room, len(text)) },
		suffix: func(text []byte, room int) int { return max(0, len(text)-room) },
	}
)

// pieces cuts head and tail so that they fit into room as m measures. Room that
// one does not need goes to the other.
func (b *Buffer) pieces(room int, tailFirst bool, m measure) pieces {
	head, tail, before := b.Head(), b.Tail(), b.lastOmitted
	if b.Whole() {
		tail = head
	}
	headRoom := room / 2
	if tailFirst {
		headRoom = room / 4
	}
	if !b.Whole() {
		headRoom = max(headRoom, room-m.size(tail))
	}
	head = cutEnd(head, m.prefix(head, headRoom))
	start := m.suffix(tail, room-m.size(head))
	if start > 0 {
		before = tail[start-1]
	}
	start += cutStart(tail[start:], before)
	if start > 0 {
		before = tail[start-1]
	}
	return pieces{head: head, tail: tail[start:], before: before}
}

func (b *Buffer) excerpt(p pieces) Excerpt {
	omitted := b.seen - int64(len(p.head)) - int64(len(p.tail))
	kept := bytes.Count(p.head, newline) + bytes.Count(p.tail, newline)
	return Excerpt{
		HeadBytes: int64(len(p.head)), TailBytes: int64(len(p.tail)),
		OmittedBytes: omitted, OmittedLines: lines(b.newlines-int64(kept), omitted, p.before),
	}
}

// overhead is the most that marker and added newlines take.
func (b *Buffer) overhead() int {
	return len(appendMarker(nil, b.seen, b.Lines())) + 2
}

// cutEnd returns a prefix of text[:end]: up to the last border of a line where
// one is near, else without a character that the end splits.
func cutEnd(text []byte, end int) []byte {
	text = text[:end]
	reach := min(longLine, len(text)/2)
	border := bytes.LastIndexByte(text, '\n') + 1
	if border > 0 && len(text)-border <= reach {
		return text[:border]
	}
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if rest := text[len(text)-i:]; utf8.RuneStart(rest[0]) {
			if !utf8.FullRune(rest) {
				return text[:len(text)-i]
			}
			break
		}
	}
	return text
}

// cutStart returns how much of the start of text to leave out: up to the first
// border of a line where one is near, else what a split character left. before
// is the byte that precedes text.
func cutStart(text []byte, before byte) int {
	if before == '\n' {
		return 0
	}
	reach := min(longLine, len(text)/2)
	if border := bytes.IndexByte(text[:reach], '\n') + 1; border > 0 {
		return border
	}
	start := 0
	for start < min(utf8.UTFMax-1, len(text)) && !utf8.RuneStart(text[start]) {
		start++
	}
	return start
}

// appendLines appends the readable form of raw and ends its last line.
func appendLines(dst, raw []byte) []byte {
	dst = AppendReadable(dst, raw)
	if missingNewline(raw) > 0 {
		dst = append(dst, '\n')
	}
	return dst
}

func missingNewline(raw []byte) int {
	if len(raw) == 0 || raw[len(raw)-1] == '\n' {
		return 0
	}
	return 1
}

func appendMarker(dst []byte, omittedBytes, omittedLines int64) []byte {
	return fmt.Appendf(dst, "[job-handler: %s in %s left out here]\n",
		Count(omittedBytes, "byte"), Count(omittedLines, "line"))
}

// Count returns n with its digits grouped and noun, in the plural where n is
// not 1: "1 line", "12,345 lines".
func Count(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return group(n) + " " + noun
}

func group(n int64) string {
	digits := strconv.FormatInt(n, 10)
	first := strings.IndexAny(digits, "123456789") + 1
	for at := len(digits) - 3; at >= first; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
