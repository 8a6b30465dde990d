package logpack

import (
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/logtext"
)

// TestRecorder writes a log into a text of 100 bytes, and copies what is kept.
func TestRecorder(t *testing.T) {
	line := strings.Repeat("x", 19) + "\n"
	tests := map[string]struct {
		lines        int
		pack, broken bool
		kept         int64
		copied       logtext.Excerpt
	}{
		"it fits":         {lines: 5, kept: 100, copied: logtext.Excerpt{HeadBytes: 100}},
		"not compressed":  {lines: 10, kept: 100, copied: logtext.Excerpt{HeadBytes: 50, TailBytes: 50, OmittedBytes: 100, OmittedLines: 6}},
		"compressed":      {lines: 10, pack: true, kept: 200, copied: logtext.Excerpt{HeadBytes: 200}},
		"its text is all": {lines: 5, pack: true, kept: 100, copied: logtext.Excerpt{HeadBytes: 100}},
		"not readable":    {lines: 10, pack: true, broken: true, kept: 200},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pool, r := NewPool(1<<20), &Recorder{Text: logtext.NewBuffer(100)}
			for i := range tc.lines {
				if outgrows := r.Outgrows(len(line)); outgrows != (i >= 5) {
					t.Errorf("line %d: outgrows %t", i, outgrows)
				}
				if tc.pack && r.Outgrows(len(line)) && r.MayPack() {
					r.Pack(pool.Open(false))
				}
				_, _ = r.Write([]byte(line))
			}
			if r.Packed != nil {
				_ = r.Packed.Close()
			}
			if longer := r.Longer() != nil; longer != (tc.pack && tc.lines > 5) || r.MayPack() != (tc.lines <= 5) {
				t.Errorf("longer %t, may pack %t", longer, r.MayPack())
			}
			if r.Kept() != tc.kept {
				t.Errorf("%d bytes are kept", r.Kept())
			}
			if tc.broken {
				clear(r.Packed.chunks[0].packed)
			}
			copied := pool.Open(false)
			err := r.CopyTo(copied)
			_ = copied.Close()
			if (err != nil) != tc.broken {
				t.Fatal(err)
			}
			if got := copied.Excerpt(); got != tc.copied {
				t.Errorf("copied %+v", got)
			}
		})
	}
}
