package logtext

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestAppendReadable(t *testing.T) {
	tests := map[string]struct{ raw, want string }{
		"empty":                  {"", ""},
		"plain":                  {"one\ttwo\nthree", "one\ttwo\nthree"},
		"not ASCII":              {"Grüße, 世界 🎉\n", "Grüße, 世界 🎉\n"},
		"colours":                {"\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		"NUL and DEL":            {"a\x00b\x7f", `a\x00b\x7f`},
		"bell and backspace":     {"\a\b\v\f", `\x07\x08\x0b\x0c`},
		"not UTF-8":              {"a\xffb\xc3", `a\xffb\xc3`},
		"overlong":               {"\xc0\x80", `\xc0\x80`},
		"surrogate":              {"\xed\xa0\x80", `\xed\xa0\x80`},
		"CRLF":                   {"a\r\nb\r\n", "a\nb\n"},
		"progress bar":           {"10%\r20%\r\n", "10%\\r20%\n"},
		"CR twice":               {"a\r\r\n", "a\\r\n"},
		"C1 control":             {"\u009b31m\u0085", `\u009b31m\u0085`},
		"text direction":         {"a\u202eb\u2066c\u200f", `a\u202eb\u2066c\u200f`},
		"zero width":             {"a\u200bb\ufeffc\u00ad", `a\u200bb\ufeffc\u00ad`},
		"line separators":        {"a\u2028b\u2029c", `a\u2028b\u2029c`},
		"tags beyond the BMP":    {"a\U000e0041", `a\U000e0041`},
		"replacement character":  {"a\ufffd", "a\ufffd"},
		"non-breaking space":     {"a\u00a0b", "a\u00a0b"},
		"backslash stays":        {`a\x1b\n`, `a\x1b\n`},
		"character at the end":   {"é", "é"},
		"half a character in it": {"\xe4\xb8x", `\xe4\xb8x`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := string(AppendReadable([]byte(">"), []byte(tc.raw))); got != ">"+tc.want {
				t.Errorf("AppendReadable(%q) = %q, want %q", tc.raw, got, ">"+tc.want)
			}
			if got := ReadableSize([]byte(tc.raw)); got != len(tc.want) {
				t.Errorf("ReadableSize(%q) = %d, want %d", tc.raw, got, len(tc.want))
			}
		})
	}
}

// checkReadable fails if the readable form of raw is not what AppendReadable
// promises of it.
func checkReadable(t interface{ Fatalf(string, ...any) }, raw []byte) {
	readable := AppendReadable(nil, raw)
	if !utf8.Valid(readable) {
		t.Fatalf("%q becomes %q: not UTF-8", raw, readable)
	}
	if i := bytes.IndexFunc(readable, steers); i >= 0 {
		t.Fatalf("%q becomes %q: hidden character at %d", raw, readable, i)
	}
	if again := AppendReadable(nil, readable); !bytes.Equal(again, readable) {
		t.Fatalf("%q becomes %q, then %q", raw, readable, again)
	}
	if size := ReadableSize(raw); size != len(readable) {
		t.Fatalf("%q becomes %d bytes, ReadableSize said %d", raw, len(readable), size)
	}
}

// steers reports whether r could steer a terminal or deceive a reader.
func steers(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

func TestEveryCharacterIsReadable(t *testing.T) {
	for r := range unicode.MaxRune + 1 {
		checkReadable(t, utf8.AppendRune([]byte("a"), r))
	}
	for c := range 256 {
		checkReadable(t, []byte{'a', byte(c), 'b'})
	}
}

// rawText draws what logs may hold: text, controls, pieces of characters.
func rawText() *rapid.Generator[[]byte] {
	piece := rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 8),
		rapid.SampledFrom([][]byte{
			[]byte("\r\n"), []byte("\n"), []byte("a line of text\n"), []byte("\x1b[31m"),
			[]byte("世"), []byte("\u202e"), []byte("🎉"), []byte("\U000e0041"), []byte("\r"), []byte("x"),
		}),
	)
	return rapid.Map(rapid.SliceOfN(piece, 0, 40), func(pieces [][]byte) []byte {
		return bytes.Join(pieces, nil)
	})
}

func TestFittingPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rawText().Draw(t, "raw")
		room := rapid.IntRange(0, 100).Draw(t, "room")
		checkReadable(t, raw)
		whole := string(AppendReadable(nil, raw))

		end := fittingPrefix(raw, room)
		prefix := string(AppendReadable(nil, raw[:end]))
		if len(prefix) > room || !strings.HasPrefix(whole, prefix) {
			t.Fatalf("prefix of %d bytes in %d: %q", end, room, prefix)
		}
		start := fittingSuffix(raw, room)
		suffix := string(AppendReadable(nil, raw[start:]))
		if len(suffix) > room || !strings.HasSuffix(whole, suffix) {
			t.Fatalf("suffix from %d in %d: %q", start, room, suffix)
		}
		// The longest form of one unit has 10 bytes.
		if len(whole) > room && (len(prefix) <= room-10 || len(suffix) <= room-10) {
			t.Fatalf("room of %d filled with %d and %d only", room, len(prefix), len(suffix))
		}
	})
}

func FuzzAppendReadable(f *testing.F) {
	f.Add([]byte("plain\n"), 10)
	f.Add([]byte("\x1b[31mred\x1b[0m\r\n\u202e\xff\xe4\xb8"), 20)
	f.Fuzz(func(t *testing.T, raw []byte, limit int) {
		checkReadable(t, raw)
		b := NewBuffer(256)
		_, _ = b.Write(raw)
		limit = min(max(limit, 0), 4<<10)
		text, excerpt := b.AppendReadable(nil, Limits{Bytes: limit})
		if len(text) > limit {
			t.Fatalf("%d bytes, limit %d", len(text), limit)
		}
		if excerpt.Kept()+excerpt.OmittedBytes != int64(len(raw)) {
			t.Fatalf("%+v of %d bytes", excerpt, len(raw))
		}
		checkReadable(t, text)
		if line := Line(string(raw), limit); len(line) > limit || strings.ContainsAny(line, "\n\t\r") {
			t.Fatalf("line %q, limit %d", line, limit)
		}
	})
}

func BenchmarkAppendReadable(b *testing.B) {
	texts := map[string]string{
		"ascii":   strings.Repeat("2026-11-05T10:00:00Z INFO processed batch 1234 of 5678 in 12ms\n", 1<<14),
		"colours": strings.Repeat("\x1b[32mINFO\x1b[0m processed batch 1234 of 5678 in 12ms\r\n", 1<<14),
		"unicode": strings.Repeat("Grüße aus Köln: 世界 🎉 fertig\n", 1<<14),
		"binary":  strings.Repeat("\x00\xff\x1b\x80", 1<<16),
	}
	for name, text := range texts {
		b.Run(name, func(b *testing.B) {
			raw := []byte(text)
			dst := make([]byte, 0, ReadableSize(raw))
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendReadable(dst[:0], raw)
			}
		})
	}
}

// plainRun looks at eight bytes at once: every byte in every place counts.
func TestPlainRunFindsEveryByte(t *testing.T) {
	for size := range 26 {
		for at := range size {
			for c := range 256 {
				raw := bytes.Repeat([]byte("~"), size)
				raw[at] = byte(c)
				want := size
				if !plain[c] {
					want = at
				}
				if got := plainRun(raw); got != want {
					t.Fatalf("%q: %d, want %d", raw, got, want)
				}
				if at+1 < size {
					raw[at+1] = '\x7f'
					if got := plainRun(raw); got != min(want, at+1) {
						t.Fatalf("%q: %d, want %d", raw, got, min(want, at+1))
					}
				}
			}
		}
	}
}
