package logpack

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/logtext"
)

// noise returns size bytes that cannot be compressed, with a newline in 100.
func noise(seed byte, size int) []byte {
	text := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(text)
	for i := range text {
		if i%100 == 99 {
			text[i] = '\n'
		}
	}
	return text
}

// write writes text in pieces and closes the log.
func write(l *Log, text []byte, piece int) *Log {
	for at := 0; at < len(text); at += piece {
		_, _ = l.Write(text[at:min(len(text), at+piece)])
	}
	_ = l.Close()
	return l
}

// read returns the text of what is kept, as any reader of gzip sees it.
func read(t interface{ Fatalf(string, ...any) }, l *Log) []byte {
	members := l.Members()
	if len(members) == 0 {
		return nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(bytes.Join(members, nil)))
	if err != nil {
		t.Fatalf("%v", err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return text
}

// check fails unless l tells the truth about what it keeps of text.
func check(t interface{ Fatalf(string, ...any) }, l *Log, text []byte) {
	got, e := read(t, l), l.Excerpt()
	if int64(len(got)) != e.Kept() || e.Kept()+e.OmittedBytes != int64(len(text)) {
		t.Fatalf("%d bytes of %d, but %+v", len(got), len(text), e)
	}
	if !bytes.HasPrefix(text, got[:e.HeadBytes]) || !bytes.HasSuffix(text, got[e.HeadBytes:]) {
		t.Fatalf("%+v: not head and tail", e)
	}
	omitted := text[e.HeadBytes : int64(len(text))-e.TailBytes]
	lines := int64(bytes.Count(omitted, newline))
	if len(omitted) > 0 && omitted[len(omitted)-1] != '\n' {
		lines++
	}
	if e.OmittedLines != lines {
		t.Fatalf("%d lines left out, want %d: %+v", e.OmittedLines, lines, e)
	}
	if want := len(got) > 0 && got[len(got)-1] == '\n'; l.EndsLine() != want {
		t.Fatalf("EndsLine() = %t", l.EndsLine())
	}
	size := 0
	for _, m := range l.Members() {
		size += len(m)
	}
	if size != l.Size() {
		t.Fatalf("Size() = %d, want %d", l.Size(), size)
	}
}

func TestLogOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{0, 1, longLine, ChunkBytes, 2 * ChunkBytes, 2 << 20}).Draw(t, "size")
		size = max(0, size+rapid.IntRange(-1, 1).Draw(t, "more"))
		text := noise(1, size)
		if rapid.Bool().Draw(t, "one line") {
			text = bytes.Repeat([]byte("x"), size)
		}
		pool := NewPool(rapid.SampledFrom([]int{0, 1000, 300 << 10, 1 << 20, 8 << 20}).Draw(t, "budget"))
		l := write(pool.Open(rapid.Bool().Draw(t, "tailFirst")), text, rapid.IntRange(1000, 400_000).Draw(t, "piece"))
		check(t, l, text)
		if l.Size() > pool.budget {
			t.Fatalf("%d bytes, budget %d", l.Size(), pool.budget)
		}
		room := rapid.IntRange(0, 2<<20).Draw(t, "room")
		fitted, err := l.Fit(room)
		if err != nil || fitted.Size() > room {
			t.Fatalf("%d bytes, room %d, %v", fitted.Size(), room, err)
		}
		check(t, fitted, text)
		check(t, l, text)
		if l.Size() > room && fitted.Size() < room*9/10-leastPart && size == 2<<20 && !bytes.HasPrefix(text, []byte("xx")) {
			t.Fatalf("%d bytes only of %d, room %d", fitted.Size(), l.Size(), room)
		}
	})
}

func TestSharing(t *testing.T) {
	small, loud := noise(1, 100_000), noise(2, 20*ChunkBytes)
	tests := map[string]struct {
		write func(*Pool) []*Log
		// want is how many bytes of each are kept at least.
		want []int64
	}{
		"a talkative one does not push out another": {
			write: func(p *Pool) []*Log {
				first := write(p.Open(false), small, 4096)
				return []*Log{first, write(p.Open(false), loud, 4096), write(p.Open(false), small, 4096)}
			},
			want: []int64{100_000, 2 * ChunkBytes, 100_000},
		},
		"two talkative ones share": {
			write: func(p *Pool) []*Log {
				a, b := p.Open(false), p.Open(false)
				return []*Log{write(a, loud, 4096), write(b, loud, 4096)}
			},
			want: []int64{ChunkBytes, ChunkBytes},
		},
		"one that comes first has more": {
			write: func(p *Pool) []*Log {
				a, b := p.Open(false), p.Open(true)
				return []*Log{write(a, loud, 4096), write(b, loud, 4096)}
			},
			want: []int64{ChunkBytes, 2 * ChunkBytes},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for i, l := range tc.write(NewPool(4*ChunkBytes + 4096)) {
				if kept := l.Excerpt().Kept(); kept < tc.want[i] {
					t.Errorf("log %d: %d bytes kept, want at least %d", i, kept, tc.want[i])
				}
			}
		})
	}
}

func TestTailFirst(t *testing.T) {
	l := write(NewPool(8*ChunkBytes+8192).Open(true), noise(1, 40*ChunkBytes), 10_000)
	if e := l.Excerpt(); e.TailBytes < 2*e.HeadBytes || e.HeadBytes == 0 {
		t.Errorf("%+v", e)
	}
}

func TestDrop(t *testing.T) {
	pool := NewPool(1 << 20)
	l := write(pool.Open(false), noise(1, 700_000), 4096)
	pool.Drop(l)
	again := write(pool.Open(false), noise(1, 700_000), 4096)
	if diff := cmp.Diff(logtext.Excerpt{HeadBytes: 700_000}, again.Excerpt()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What compresses to next to nothing is bounded all the same, for those who
// read it.
func TestRawBound(t *testing.T) {
	pool, zeros := NewPool(64<<20), make([]byte, 16<<20)
	other := write(pool.Open(false), noise(1, 4<<20), 4096)
	l := pool.Open(false)
	for range 40 {
		_, _ = l.Write(zeros)
	}
	_ = l.Close()
	if e := l.Excerpt(); e.Kept() > maxRaw || e.Kept() < maxRaw-5<<20 || e.Kept()+e.OmittedBytes != 640<<20 {
		t.Errorf("%+v", e)
	}
	if e := other.Excerpt(); e.OmittedBytes > 0 {
		t.Errorf("another log lost something: %+v", e)
	}
}

// logText returns size bytes of lines as programs log them.
func logText(size int) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "2026-11-05T10:%02d:%02d.%06dZ INFO importer/worker-%d processed record id=%08x in %dms, %d left\n",
			i/60%60, i%60, r.IntN(1e6), r.IntN(16), r.Uint32(), r.IntN(900), 1_000_000-i)
	}
	return b.Bytes()[:size]
}

func BenchmarkWrite(b *testing.B) {
	text := logText(32 << 20)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var size int
	for b.Loop() {
		l := write(NewPool(1<<20).Open(false), text, 32<<10)
		size = l.Size()
	}
	b.ReportMetric(float64(size), "kept")
}

// What has no repetitions is compressed all the same.
func TestPoorTextIsCompressed(t *testing.T) {
	random := noise(1, 1<<20)
	tests := map[string]struct {
		text []byte
		// percent of the text is the most that it may take.
		percent int
	}{
		"hex":    {[]byte(hex.EncodeToString(random)), 55},
		"base64": {[]byte(base64.StdEncoding.EncodeToString(random)), 80},
		"text":   {logText(1 << 20), 25},
		"noise":  {random, 101},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			l := write(NewPool(8<<20).Open(false), tc.text, 32<<10)
			check(t, l, tc.text)
			if limit := len(tc.text) * tc.percent / 100; l.Size() > limit {
				t.Errorf("%d bytes of %d, want at most %d", l.Size(), len(tc.text), limit)
			}
		})
	}
}

// Once the pool is full nothing is allocated any more, however long the log is,
// but for a compressor where the garbage collector took one.
func TestNothingGrowsWithTheLog(t *testing.T) {
	text := logText(4 << 20)
	l := NewPool(1 << 20).Open(false)
	for range 16 {
		_, _ = l.Write(text)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 64 {
		_, _ = l.Write(text)
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 && !jobtest.RaceDetector {
		t.Errorf("%d bytes allocated for 256 MiB of log", allocated)
	}
	_ = l.Close()
	if e := l.Excerpt(); e.Kept()+e.OmittedBytes != 80*4<<20 {
		t.Errorf("%+v", e)
	}
}

// TestPinned has a log that is pinned be whole while others lose what must go,
// though it is the largest, and be the first to lose something afterwards.
func TestPinned(t *testing.T) {
	text := noise(1, 3*ChunkBytes)
	p := NewPool(4 * ChunkBytes)
	pinned := write(p.Open(false), text, 1000)
	p.Pin(pinned)
	other := write(p.Open(false), noise(2, 2*ChunkBytes), 1000)
	check(t, pinned, text)
	if pinned.Excerpt().OmittedBytes > 0 || other.Excerpt().OmittedBytes == 0 || p.used > p.budget {
		t.Fatalf("%+v and %+v in %d bytes", pinned.Excerpt(), other.Excerpt(), p.used)
	}
	p.Unpin(pinned)
	write(p.Open(false), noise(3, ChunkBytes), 1000)
	check(t, pinned, text)
	if pinned.Excerpt().OmittedBytes == 0 || p.used > p.budget {
		t.Errorf("%+v in %d bytes", pinned.Excerpt(), p.used)
	}
}

// TestAllPinned has nobody else lose anything: what is written is not kept.
func TestAllPinned(t *testing.T) {
	p := NewPool(2 * ChunkBytes)
	pinned := write(p.Open(false), noise(1, ChunkBytes), 1000)
	p.Pin(pinned)
	text := noise(2, 4*ChunkBytes)
	other := write(p.Open(false), text, 1000)
	check(t, other, text)
	if pinned.Excerpt().OmittedBytes > 0 || p.used > p.budget {
		t.Errorf("%+v and %+v in %d bytes", pinned.Excerpt(), other.Excerpt(), p.used)
	}
}

// Whole lines are taken where their border is near: a part of a piece is not half
// empty for them.
func TestFitUsesItsRoom(t *testing.T) {
	long := strings.Repeat("x", 3000)
	texts := map[string]string{"lines of 3,000 bytes": strings.Repeat(long+"\n", 70), "one line": strings.Repeat("y", 200_000)}
	for name, text := range texts {
		noisy := []byte(text)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range noisy {
			if noisy[i] != '\n' {
				noisy[i] = byte(' ' + random.IntN(90))
			}
		}
		for _, tailFirst := range []bool{false, true} {
			log := NewPool(1 << 20).Open(tailFirst)
			_, _ = log.Write(noisy)
			_ = log.Close()
			for room := 512; room < 16<<10; room += 97 {
				fitted, err := log.Fit(room)
				if err != nil || fitted.Size() > room || fitted.Size() < room*2/5 {
					t.Errorf("%s, tail first %t: %d bytes in %d, %v", name, tailFirst, fitted.Size(), room, err)
				}
			}
		}
	}
}
