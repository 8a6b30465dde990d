package logtext

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// state is all that can be asked of a Buffer.
type state struct {
	Head, Tail                  string
	Seen, Lines, Omitted, Lost  int64
	Kept, Capacity, ReadableLen int
	Gap                         Gap
}

func stateOf(b *Buffer) state {
	return state{
		Head: string(b.Head()), Tail: string(b.Tail()), Seen: b.Seen(), Lines: b.Lines(),
		Omitted: b.OmittedBytes(), Lost: b.OmittedLines(), Kept: b.Kept(), Capacity: b.Capacity(),
		ReadableLen: b.ReadableSize(), Gap: b.Gap(),
	}
}

// TestRestore has a Buffer that was taken apart be what it was.
func TestRestore(t *testing.T) {
	texts := map[string]string{
		"nothing": "", "a byte": "x", "a line": "x\n", "two lines": "a\nb", "blank lines": "\n\n\n\n\n\n\n\n",
		"lines": strings.Repeat("0123456\n", 40), "no line": strings.Repeat("x", 333), "odd": strings.Repeat("ab\nc", 57) + "z",
	}
	for name, text := range texts {
		for capacity := range 70 {
			t.Run(fmt.Sprintf("%s in %d", name, capacity), func(t *testing.T) {
				b := NewBuffer(capacity)
				for part := range strings.SplitSeq(text, "3") {
					_, _ = b.Write([]byte(part))
				}
				b.Shrink(b.Kept())
				restored := Restore(b.Head(), b.Tail(), b.Gap())
				if diff := cmp.Diff(stateOf(b), stateOf(restored)); diff != "" {
					t.Errorf("restored (-was +is):\n%s", diff)
				}
			})
		}
	}
}

// TestRestoreUneven gives Restore ends of any length: all of both is there, what is
// gone is counted, and when it shrinks an end that is short loses nothing first.
func TestRestoreUneven(t *testing.T) {
	const text = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n"
	for head := range len(text) {
		for tail := range len(text) - head {
			end := len(text) - tail
			gap := Gap{}.Append([]byte(text[head:end]))
			if gap.Bytes == 0 {
				continue
			}
			b := Restore([]byte(text[:head]), []byte(text[end:]), gap)
			kept := string(b.Head()) + strings.Repeat("?", int(b.OmittedBytes())) + string(b.Tail())
			if len(kept) != len(text) || !strings.HasPrefix(text, string(b.Head())) || !strings.HasSuffix(text, string(b.Tail())) {
				t.Fatalf("%d and %d of %d bytes: %q", head, tail, len(text), kept)
			}
			if b.Seen() != int64(len(text)) || b.Lines() != 10 || b.Kept() != head+tail {
				t.Fatalf("%d and %d: %d bytes and %d lines seen, %d kept", head, tail, b.Seen(), b.Lines(), b.Kept())
			}
			left := bytes.Count([]byte(text[len(b.Head()):len(text)-len(b.Tail())]), newline)
			if got := b.Gap(); got.Newlines != int64(left) || got.Last != text[len(text)-len(b.Tail())-1] {
				t.Fatalf("%d and %d: %+v", head, tail, got)
			}
			half := b.Kept() / 2
			b.Shrink(half)
			if b.Kept() != half || len(b.Head()) != min(head, max(half/2, half-tail)) {
				t.Fatalf("%d and %d, shrunk: %d bytes, head %q", head, tail, b.Kept(), b.Head())
			}
			if !strings.HasPrefix(text, string(b.Head())) || !strings.HasSuffix(text, string(b.Tail())) || b.Lines() != 10 {
				t.Fatalf("%d and %d, shrunk: %q, %q", head, tail, b.Head(), b.Tail())
			}
		}
	}
}
