package resultsview

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/boundedjson"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/results"
)

// BenchmarkRecord decodes the largest job.json that there is, and compares with what
// package encoding/json takes for that, which knows no bounds.
func BenchmarkRecord(b *testing.B) {
	var pods []*runs.PodBuilder
	for i := range 500 {
		pods = append(pods, runs.MakePod("a-"+strconv.Itoa(i), start).Container("main", 1, []byte("hello\n")).Restarted(1, 1, []byte("before\n")))
	}
	text := store(b, pods...).Data[api.DataJobJSON]
	for name, decode := range map[string]func(*results.Record) error{
		"bounded":       func(r *results.Record) error { return boundedjson.Unmarshal(text, r) },
		"encoding-json": func(r *results.Record) error { return json.Unmarshal([]byte(text), r) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := decode(&results.Record{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
