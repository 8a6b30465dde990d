package logtext

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestBuffer(t *testing.T) {
	tests := map[string]struct {
		capacity   int
		writes     []string
		head, tail string
		bytes      int64
		lines      int64
	}{
		"nothing":               {capacity: 8},
		"fits exactly":          {capacity: 4, writes: []string{"ab", "c\n"}, head: "abc\n"},
		"one too many":          {capacity: 4, writes: []string{"abcd", "e"}, head: "ab", tail: "de", bytes: 1, lines: 1},
		"tail wraps":            {capacity: 4, writes: []string{"abcd", "e", "f", "g"}, head: "ab", tail: "fg", bytes: 3, lines: 1},
		"large write":           {capacity: 4, writes: []string{"a\nb\nc\nd\ne\n"}, head: "a\n", tail: "e\n", bytes: 6, lines: 3},
		"omitted ends in line":  {capacity: 4, writes: []string{"a\nb\ncd\n"}, head: "a\n", tail: "d\n", bytes: 3, lines: 2},
		"odd capacity":          {capacity: 3, writes: []string{"abcdef"}, head: "a", tail: "ef", bytes: 3, lines: 1},
		"no capacity":           {capacity: 0, writes: []string{"ab\nc"}, bytes: 4, lines: 2},
		"negative capacity":     {capacity: -1, writes: []string{"ab\n"}, bytes: 3, lines: 1},
		"capacity of one":       {capacity: 1, writes: []string{"a", "b", "\n"}, tail: "\n", bytes: 2, lines: 1},
		"empty write":           {capacity: 2, writes: []string{"", "a", ""}, head: "a"},
		"ring filled exactly":   {capacity: 4, writes: []string{"abcd", "\ne", "fg"}, head: "ab", tail: "fg", bytes: 4, lines: 2},
		"newlines in many bits": {capacity: 6, writes: []string{"1\n", "2\n", "3\n", "4\n", "5\n"}, head: "1\n2", tail: "\n5\n", bytes: 4, lines: 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := NewBuffer(tc.capacity)
			for _, w := range tc.writes {
				if n, err := b.Write([]byte(w)); n != len(w) || err != nil {
					t.Fatalf("Write(%q) = %d, %v", w, n, err)
				}
			}
			got := []any{string(b.Head()), string(b.Tail()), b.OmittedBytes(), b.OmittedLines()}
			want := []any{tc.head, tc.tail, tc.bytes, tc.lines}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("head, tail, omitted bytes and lines (-want +got):\n%s", diff)
			}
		})
	}
}

// model is the naive Buffer: it keeps everything.
type model struct {
	text     []byte
	capacity int
	// head and tail are what is left after the shrinking so far; whole is true
	// while nothing was left out.
	head, tail []byte
	whole      bool
}

func newModel(capacity int) *model { return &model{capacity: capacity, whole: true} }

func (m *model) write(p []byte) {
	m.text = append(m.text, p...)
	if m.whole && len(m.text) <= m.capacity {
		m.head = m.text
		return
	}
	if m.whole {
		m.head, m.whole = m.text[:m.capacity/2], false
	}
	m.tail = lastBytes(m.text, m.capacity-m.capacity/2)
}

func (m *model) shrink(capacity int) {
	if capacity >= m.capacity {
		return
	}
	m.capacity = capacity
	if m.whole && len(m.text) <= capacity {
		return
	}
	m.whole = false
	m.head = m.text[:capacity/2]
	m.tail = lastBytes(m.text, capacity-capacity/2)
}

func lastBytes(text []byte, n int) []byte { return text[len(text)-n:] }

func (m *model) omitted() []byte { return m.text[len(m.head) : len(m.text)-len(m.tail)] }

func countLines(text []byte) int64 {
	n := bytes.Count(text, newline)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return int64(n)
}

// linesOfText draws text with few different bytes, so that borders of lines
// fall everywhere.
func linesOfText(maxLen int) *rapid.Generator[[]byte] {
	return rapid.SliceOfN(rapid.SampledFrom([]byte("ab\n")), 0, maxLen)
}

func TestBufferIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(0, 40).Draw(t, "capacity")
		b, m := NewBuffer(capacity), newModel(capacity)
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				p := linesOfText(60).Draw(t, "p")
				_, _ = b.Write(p)
				m.write(p)
			},
			"shrink": func(t *rapid.T) {
				to := rapid.IntRange(0, 40).Draw(t, "to")
				b.Shrink(to)
				m.shrink(to)
			},
			"": func(t *rapid.T) { compare(t, b, m) },
		})
	})
}

func compare(t *rapid.T, b *Buffer, m *model) {
	t.Helper()
	got := []any{
		string(b.Head()), string(b.Tail()), b.Whole(), b.Seen(), b.Lines(),
		b.Kept(), b.Capacity(), b.OmittedBytes(), b.OmittedLines(),
	}
	want := []any{
		string(m.head), string(m.tail), m.whole, int64(len(m.text)), countLines(m.text),
		len(m.head) + len(m.tail), m.capacity, int64(len(m.omitted())), countLines(m.omitted()),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-model +buffer):\n%s", diff)
	}
}

func TestBufferGrowsLazily(t *testing.T) {
	b := NewBuffer(1 << 20)
	line := []byte(strings.Repeat("x", 127) + "\n")
	for range 16 {
		_, _ = b.Write(line)
	}
	if got := cap(b.kept); got > 4<<10 {
		t.Errorf("2 KiB of log take %d bytes of memory", got)
	}
	for range 1 << 14 {
		_, _ = b.Write(line)
	}
	if got := cap(b.kept); got > 1<<20 {
		t.Errorf("2 MiB of log take %d bytes of memory, more than the capacity", got)
	}
}

func TestShrinkFreesMemory(t *testing.T) {
	b := NewBuffer(1 << 20)
	_, _ = b.Write(make([]byte, 1<<20))
	b.Shrink(1 << 10)
	if got := cap(b.kept); got > 1<<10 {
		t.Errorf("after shrinking to 1 KiB it takes %d bytes of memory", got)
	}
}

// A whole text that still fits is moved to where it has no more room than it may
// fill.
func TestShrinkFreesRoom(t *testing.T) {
	b := NewBuffer(1 << 20)
	_, _ = b.Write(make([]byte, 1000))
	_, _ = b.Write(make([]byte, 100))
	b.Shrink(1200)
	if cap(b.kept) > 1200 || b.Kept() != 1100 || !b.Whole() {
		t.Errorf("room for %d bytes, %d kept", cap(b.kept), b.Kept())
	}
	_, _ = b.Write(make([]byte, 200))
	if b.Seen() != 1300 || b.Kept() != 1200 || b.Whole() {
		t.Errorf("%d bytes seen, %d kept", b.Seen(), b.Kept())
	}
}
