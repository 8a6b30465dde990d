package logpack

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/logtext"
)

// TestSkip writes logs whose middle is not there, into pools that are large and
// small: what they tell of it is true of the whole log.
func TestSkip(t *testing.T) {
	text := noise(7, 1<<20)
	for _, head := range []int{0, 1, 100, 100_000, 300_001} {
		for _, tail := range []int{0, 1, 100, 99_950, 300_001} {
			for _, budget := range []int{4 << 20, 300 << 10, 150 << 10, 0} {
				t.Run(fmt.Sprintf("%d and %d in %d", head, tail, budget), func(t *testing.T) {
					pool := NewPool(budget)
					l := pool.Open(tail%2 == 0)
					_, _ = l.Write(text[:head])
					l.Skip(logtext.Gap{}.Append(text[head : len(text)-tail]))
					write(l, text[len(text)-tail:], 5000)
					check(t, l, text)
					if e := l.Excerpt(); budget == 4<<20 && (e.HeadBytes != int64(head) || e.TailBytes != int64(tail)) {
						t.Errorf("kept %+v", e)
					}
					if pool.used > budget || pool.used != l.Size() {
						t.Errorf("%d bytes in use, the log has %d", pool.used, l.Size())
					}
					copied := NewPool(4 << 20).Open(false)
					_, _ = copied.Write(read(t, l)[:l.Excerpt().HeadBytes])
					copied.Skip(l.Gap())
					write(copied, read(t, l)[l.Excerpt().HeadBytes:], 5000)
					if diff := cmp.Diff(l.Excerpt(), copied.Excerpt()); diff != "" {
						t.Errorf("copied (-was +is):\n%s", diff)
					}
				})
			}
		}
	}
}

func TestSkipNothing(t *testing.T) {
	l := NewPool(1 << 20).Open(false)
	_, _ = l.Write([]byte("one\n"))
	l.Skip(logtext.Gap{})
	write(l, []byte("two\n"), 10)
	if got := read(t, l); !bytes.Equal(got, []byte("one\ntwo\n")) || l.Gap() != (logtext.Gap{}) {
		t.Errorf("%q, gap %+v", got, l.Gap())
	}
}
