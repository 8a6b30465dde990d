package report

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is a report of two scenarios.
func sample() *Report {
	drain := &Scenario{Name: "drain", Title: "finished Jobs wait", PerSecond: []float64{10, 30, 20}, Requests: map[string]float64{"POST events": 1, "GET leases": 0.001}}
	drain.Set(Rate, 200)
	drain.Set(Share, 0.5)
	drain.Set(CPU, 1.234)
	drain.Set(Requests, 8)
	drain.Set(PeakRSS, 100<<20)
	loop := &Scenario{Name: "open-20", Title: "20 Jobs a second finish"}
	loop.SetLatency("deleted", []float64{0.1, 0.2, 0.3})
	return &Report{
		Mode: "bench", Command: "make bench", Began: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Seconds: 240, Version: "v1",
		Machine:   Machine{CPUs: 2, Processor: "a processor", Memory: "8 GiB", Kernel: "6.1", Go: "go1.26", SyncMillis: 0.5},
		Scenarios: []*Scenario{drain, loop},
	}
}

func TestFind(t *testing.T) {
	r := sample()
	for path, want := range map[string]float64{
		"drain.rate": 200, "drain.share": 0.5, "open-20.deleted.p50": 0.2, "open-20.deleted.max": 0.3, "open-20.deleted.mean": 0.2,
	} {
		if got, found := r.Find(path); !found || got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%s: got %v, %v, want %v", path, got, found, want)
		}
	}
	for _, path := range []string{"", "drain", "drain.heap", "none.rate", "open-20.deleted", "open-20.deleted.p75", "open-20.stored.p50"} {
		if got, found := r.Find(path); found {
			t.Errorf("%q: got %v, want none", path, got)
		}
	}
}

func TestWrittenReportIsRead(t *testing.T) {
	path, want := filepath.Join(t.TempDir(), "report.json"), sample()
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil {
		t.Error("half a report was read")
	}
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	if err := sample().WriteText(&out); err != nil {
		t.Fatal(err)
	}
	want := `
How fast
scenario            Jobs/s  of the ceiling
finished Jobs wait  200     50%

What a Job costs
scenario            CPU/Job  requests/Job
finished Jobs wait  1.23 ms  8.00

Memory
scenario            peak RSS
finished Jobs wait  100.0 MiB

How long
scenario                 until    mean    ±       p50     p90     p99     longest
20 Jobs a second finish  deleted  200 ms  100 ms  200 ms  300 ms  300 ms  300 ms

Requests for a Job
scenario            request      for a Job
finished Jobs wait  POST events  1.00
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Everything that a scenario can tell has a form of its own.
func TestEveryValueIsDescribed(t *testing.T) {
	for _, g := range groups {
		for _, v := range g.values {
			if !slices.ContainsFunc(values, func(each value) bool { return each.Value == v }) {
				t.Errorf("%s is not among the values that are shown", v)
			}
		}
	}
}

func TestPlots(t *testing.T) {
	folder := t.TempDir()
	if err := sample().WritePlots(folder); err != nil {
		t.Fatal(err)
	}
	for name, holds := range map[string]string{"rates.svg": "drain", "drain.svg": "Finished Jobs wait", "latency.svg": "open-20"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("<svg")) || !bytes.Contains(text, []byte(holds)) {
			t.Errorf("%s is no plot with %q:\n%.300s", name, holds, text)
		}
	}
	empty := t.TempDir()
	if err := new(Report).WritePlots(empty); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) != 0 {
		t.Errorf("plots of nothing: %v, %v", entries, err)
	}
}

func TestDocs(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "benchmarks"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, docsFile)
	if err := os.WriteFile(path, []byte("# Before\n"+beginMark+"old\n"+endMark+"After\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bounds := &Bounds{Targets: []Target{{Check: Check{What: "the rate", Value: "drain.rate", AtLeast: new(90.0)}, Aim: 250, Show: "rate"}}}
	for range 2 {
		if err := WriteDocs(folder, bounds, []*Report{sample()}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Before\n", "\nAfter\n", "| the rate | 90 | 250 | 200 | reached |", "`make bench`", "a processor", "2026-11-23"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") || strings.Count(string(text), "the rate") != 1 {
		t.Errorf("not replaced:\n%s", text)
	}
}

func TestDocsWithoutMarks(t *testing.T) {
	for _, text := range []string{"", beginMark, endMark, endMark + beginMark} {
		if got, err := replace([]byte(text), "new"); err == nil {
			t.Errorf("%q became %q", text, got)
		}
	}
}
