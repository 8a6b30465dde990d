package logtext

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// numbered returns n lines of 10 bytes: "line 0001\n" and so on.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %04d\n", i+1)
	}
	return b.String()
}

func TestBufferAppendReadable(t *testing.T) {
	tests := map[string]struct {
		text     string
		capacity int
		limits   Limits
		want     string
		excerpt  Excerpt
	}{
		"whole": {
			text: "a\nb\n", capacity: 10, limits: Limits{Bytes: 4},
			want: "a\nb\n", excerpt: Excerpt{HeadBytes: 4},
		},
		"newline added": {
			text: "a\nb", capacity: 10, limits: Limits{Bytes: 4},
			want: "a\nb\n", excerpt: Excerpt{HeadBytes: 3},
		},
		"empty": {capacity: 10},
		"cut between lines": {
			text: numbered(1000), capacity: 1 << 20, limits: Limits{Bytes: 108},
			want:    numbered(2) + "[job-handler: 9,960 bytes in 996 lines left out here]\nline 0999\nline 1000\n",
			excerpt: Excerpt{HeadBytes: 20, TailBytes: 20, OmittedBytes: 9960, OmittedLines: 996},
		},
		"tail first": {
			text: numbered(1000), capacity: 1 << 20, limits: Limits{Bytes: 108, TailFirst: true},
			want:    "line 0001\n[job-handler: 9,960 bytes in 996 lines left out here]\nline 0998\nline 0999\nline 1000\n",
			excerpt: Excerpt{HeadBytes: 10, TailBytes: 30, OmittedBytes: 9960, OmittedLines: 996},
		},
		"cut by the buffer already": {
			text: numbered(1000), capacity: 45, limits: Limits{Bytes: 4096},
			want:    numbered(2) + "[job-handler: 9,960 bytes in 996 lines left out here]\nline 0999\nline 1000\n",
			excerpt: Excerpt{HeadBytes: 20, TailBytes: 20, OmittedBytes: 9960, OmittedLines: 996},
		},
		"long line": {
			text: strings.Repeat("x", 10000), capacity: 1 << 20, limits: Limits{Bytes: 72},
			want:    "xxxxxxxxx\n[job-handler: 9,982 bytes in 1 line left out here]\nxxxxxxxxx\n",
			excerpt: Excerpt{HeadBytes: 9, TailBytes: 9, OmittedBytes: 9982, OmittedLines: 1},
		},
		"characters are not split": {
			text: strings.Repeat("世", 1000), capacity: 20, limits: Limits{Bytes: 4096},
			want:    "世世世\n[job-handler: 2,982 bytes in 1 line left out here]\n世世世\n",
			excerpt: Excerpt{HeadBytes: 9, TailBytes: 9, OmittedBytes: 2982, OmittedLines: 1},
		},
		"escapes take more room": {
			text: strings.Repeat("\x1b\n", 100), capacity: 1 << 20, limits: Limits{Bytes: 76},
			want:    "\\x1b\n\\x1b\n[job-handler: 192 bytes in 96 lines left out here]\n\\x1b\n\\x1b\n",
			excerpt: Excerpt{HeadBytes: 4, TailBytes: 4, OmittedBytes: 192, OmittedLines: 96},
		},
		"no room for the marker": {
			text: numbered(1000), capacity: 1 << 20, limits: Limits{Bytes: 40},
			excerpt: Excerpt{OmittedBytes: 10000, OmittedLines: 1000},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := NewBuffer(tc.capacity)
			_, _ = b.Write([]byte(tc.text))
			text, excerpt := b.AppendReadable(nil, tc.limits)
			if diff := cmp.Diff(tc.want, string(text)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.excerpt, excerpt); diff != "" {
				t.Errorf("excerpt (-want +got):\n%s", diff)
			}
		})
	}
}

// TestExcerptIsExact compares with the text itself what an excerpt says of it,
// whatever its bytes, the capacity and the limit.
func TestExcerptIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rawText().Draw(t, "raw")
		b := NewBuffer(rapid.IntRange(0, 300).Draw(t, "capacity"))
		_, _ = b.Write(raw)
		want := b.ReadableSize()
		limits := Limits{
			Bytes:     rapid.IntRange(0, want+20).Draw(t, "limit"),
			TailFirst: rapid.Bool().Draw(t, "tailFirst"),
		}
		text, e := b.AppendReadable(nil, limits)
		if len(text) > limits.Bytes {
			t.Fatalf("%d bytes, limit %d: %q", len(text), limits.Bytes, text)
		}
		head, tail := raw[:e.HeadBytes], raw[int64(len(raw))-e.TailBytes:]
		omitted := raw[e.HeadBytes : int64(len(raw))-e.TailBytes]
		if int64(len(omitted)) != e.OmittedBytes || countLines(omitted) != e.OmittedLines {
			t.Fatalf("%+v, but left out are %d bytes in %d lines", e, len(omitted), countLines(omitted))
		}
		if limits.Bytes >= want && e.Kept() < int64(b.Kept()) && b.Whole() {
			t.Fatalf("kept %d of %d bytes although %d fit", e.Kept(), b.Kept(), limits.Bytes)
		}
		var expected []byte
		if len(text) > 0 || e.Kept() > 0 {
			expected = appendLines(nil, head)
			if len(omitted) > 0 {
				expected = appendMarker(expected, e.OmittedBytes, e.OmittedLines)
			}
			expected = appendLines(expected, tail)
		}
		if !bytes.Equal(text, expected) {
			t.Fatalf("%q, want %q", text, expected)
		}
	})
}

// TestRawIsExact compares with the text itself what Raw took of it.
func TestRawIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rawText().Draw(t, "raw")
		b := NewBuffer(rapid.IntRange(0, 300).Draw(t, "capacity"))
		_, _ = b.Write(raw)
		limits := Limits{
			Bytes:     rapid.IntRange(-1, len(raw)+20).Draw(t, "limit"),
			TailFirst: rapid.Bool().Draw(t, "tailFirst"),
		}
		head, tail, e := b.Raw(limits)
		if e.HeadBytes != int64(len(head)) || e.TailBytes != int64(len(tail)) || e.Kept() > int64(max(0, limits.Bytes)) {
			t.Fatalf("%+v of %d and %d bytes, limit %d", e, len(head), len(tail), limits.Bytes)
		}
		if !bytes.HasPrefix(raw, head) || !bytes.HasSuffix(raw, tail) {
			t.Fatalf("%q and %q are not the ends of %q", head, tail, raw)
		}
		omitted := raw[len(head) : len(raw)-len(tail)]
		if int64(len(omitted)) != e.OmittedBytes || countLines(omitted) != e.OmittedLines {
			t.Fatalf("%+v, but left out are %d bytes in %d lines", e, len(omitted), countLines(omitted))
		}
		if limits.Bytes >= b.Kept() && e.Kept() != int64(b.Kept()) {
			t.Fatalf("%+v of %d bytes that fit", e, b.Kept())
		}
	})
}

func TestRawCutsBetweenLines(t *testing.T) {
	b := NewBuffer(1 << 20)
	_, _ = b.Write([]byte(numbered(1000)))
	head, tail, e := b.Raw(Limits{Bytes: 57, TailFirst: true})
	if got, want := string(head)+"|"+string(tail), "line 0001\n|line 0997\nline 0998\nline 0999\nline 1000\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := (Excerpt{HeadBytes: 10, TailBytes: 40, OmittedBytes: 9950, OmittedLines: 995}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
}

func TestCount(t *testing.T) {
	tests := map[int64]string{
		0: "0 lines", 1: "1 line", 999: "999 lines", 1000: "1,000 lines", 1234567: "1,234,567 lines",
		-1234: "-1,234 lines", -123: "-123 lines",
		math.MaxInt64: "9,223,372,036,854,775,807 lines", math.MinInt64: "-9,223,372,036,854,775,808 lines",
	}
	for n, want := range tests {
		if got := Count(n, "line"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestTextAndLine(t *testing.T) {
	long := strings.Repeat("x", 100)
	tests := map[string]struct {
		make  func(string, int) string
		s     string
		limit int
		want  string
	}{
		"fits":              {Text, "a\nb", 3, "a\nb"},
		"cut":               {Text, long, 50, strings.Repeat("x", 16) + " [job-handler: 84 bytes left out]"},
		"no room for note":  {Text, long, 10, "xxxxxxxxxx"},
		"nothing":           {Text, long, 0, ""},
		"negative":          {Text, long, -1, ""},
		"line":              {Line, "a\nb\tc\r\nd\re", 100, `a\nb\tc\nd\re`},
		"escapes in a line": {Line, "\x1b[1m", 100, `\x1b[1m`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.make(tc.s, tc.limit); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestFairShare(t *testing.T) {
	tests := map[string]struct {
		sizes  []int
		budget int
		want   []int
	}{
		"none":               {nil, 100, []int{}},
		"all fit":            {[]int{10, 20}, 100, []int{10, 20}},
		"one talks too much": {[]int{10, 1000, 20}, 100, []int{10, 70, 20}},
		"two talk too much":  {[]int{500, 1000, 20}, 100, []int{40, 40, 20}},
		"no budget":          {[]int{5, 6}, 0, []int{0, 0}},
		"negative budget":    {[]int{5, 6}, -7, []int{0, 0}},
		"empty ones":         {[]int{0, 7, 0}, 5, []int{0, 5, 0}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, FairShare(tc.sizes, tc.budget)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFairShareIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 1000), 0, 30).Draw(t, "sizes")
		budget := rapid.IntRange(-10, 10000).Draw(t, "budget")
		limits := FairShare(sizes, budget)
		sum, total := 0, 0
		for i, limit := range limits {
			sum += limit
			total += sizes[i]
			if limit < 0 || limit > sizes[i] {
				t.Fatalf("limit %d for size %d", limit, sizes[i])
			}
			for j, other := range limits {
				if limit < sizes[i] && other > limit+1 {
					t.Fatalf("%d is cut to %d while %d gets %d", sizes[i], limit, sizes[j], other)
				}
			}
		}
		if budget = max(0, budget); sum > budget || sum < min(total, budget-len(sizes)) {
			t.Fatalf("%d of %d given away, %d wanted", sum, budget, total)
		}
	})
}
