package results_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// logText returns size bytes of lines as programs log them.
func logText(size int) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "2026-11-05T10:%02d:%02d.%06dZ INFO importer/worker-%d processed record id=%08x in %dms, %d left\n",
			i/60%60, i%60, r.IntN(1e6), r.IntN(16), r.Uint32(), r.IntN(900), 10_000_000-i)
	}
	return b.Bytes()[:size]
}

// keep brings text, as it is read, to what Build takes: redacted, as text and
// compressed.
func keep(text []byte, budget int, rules *redact.Set) results.ContainerLog {
	buffer, packed := logtext.NewBuffer(runs.BufferBytes), logpack.NewPool(budget).Open(false)
	both := rules.Writer(tee{buffer, packed})
	for piece := range bytesChunks(text, 32<<10) {
		_, _ = both.Write(piece)
	}
	_ = both.Close()
	_ = packed.Close()
	return results.ContainerLog{Container: "main", Text: buffer, Packed: packed, Capture: results.Capture{Complete: true}}
}

type tee struct {
	text   *logtext.Buffer
	packed *logpack.Log
}

func (t tee) Write(p []byte) (int, error) {
	_, _ = t.packed.Write(p)
	return t.text.Write(p)
}

func bytesChunks(text []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for at := 0; at < len(text); at += size {
			if !yield(text[at:min(len(text), at+size)]) {
				return
			}
		}
	}
}

// BenchmarkReadAndBuild is all that is done with the bytes of one long log, from
// the stream to the objects: throughput a core, and what it allocates, which
// does not grow with the log.
func BenchmarkReadAndBuild(b *testing.B) {
	start := time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
	builtin, err := redact.New(true, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, rules := range []struct {
		name string
		set  *redact.Set
	}{{"plain", nil}, {"redacted", builtin}} {
		for _, limit := range []int{api.MaxResultsBytes, api.MostResultsBytes} {
			for _, size := range []int{4 << 20, 64 << 20} {
				name := fmt.Sprintf("%s/limit=%dMi/log=%dMi", rules.name, limit>>20, size>>20)
				b.Run(name, func(b *testing.B) {
					text := logText(size)
					job := jobtest.MakeJob("batch", "report").UID("uid").Started(start).Completed(start.Add(time.Minute)).Obj()
					b.SetBytes(int64(size))
					b.ReportAllocs()
					stored := 0
					for b.Loop() {
						run := runs.Of(job, runs.MakePod("a", start).Container("main", 0, nil))
						run.MaxBytes = limit
						run.Pods[0].Logs[0] = keep(text, limit, rules.set)
						content, err := results.Build(run)
						if err != nil {
							b.Fatal(err)
						}
						stored = content.Bytes()
						for _, part := range content.Parts {
							stored += len(part.Bytes)
						}
					}
					b.ReportMetric(float64(stored), "stored")
				})
			}
		}
	}
}

// BenchmarkBuildShort is building the results of a Job with one short log.
func BenchmarkBuildShort(b *testing.B) {
	start := time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
	for _, size := range []int{2 << 10, 512 << 10} {
		b.Run(fmt.Sprintf("%dKi", size>>10), func(b *testing.B) {
			text := append(logText(size), "\x1b[0m"...)
			job := jobtest.MakeJob("batch", "report").UID("uid").Started(start).Completed(start.Add(time.Minute)).Obj()
			run := runs.Of(job, runs.MakePod("a", start).Container("main", 0, text))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := results.Build(run); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
