// Package report holds the result of a benchmark: its form as JSON, the tables,
// plots and documentation made of it, and the limits that it is compared with. It
// measures nothing.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/job-handler/job-handler/test/perf/stats"
)

// Report is what one run of the benchmark found.
type Report struct {
	Mode    string    `json:"mode"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	Command string    `json:"command"`
	Version string    `json:"version"`
	Machine Machine   `json:"machine"`
	// Scenarios are in the order in which they ran.
	Scenarios []*Scenario `json:"scenarios"`
}

// Machine is what the benchmark ran on.
type Machine struct {
	Processor string `json:"processor"`
	CPUs      int    `json:"cpus"`
	Memory    string `json:"memory"`
	Kernel    string `json:"kernel"`
	Go        string `json:"go"`
	// SyncMillis is how long etcd's disk takes to have a write be safe, in the
	// mean: what bounds one writer alone.
	SyncMillis float64 `json:"syncMillis"`
}

// Scenario is what one of them found.
type Scenario struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Values are by the name of a Value.
	Values map[Value]float64 `json:"values"`
	// Latencies are in seconds, by what they are the latencies of.
	Latencies map[string]stats.Summary `json:"latencies,omitempty"`
	// Requests are how many of each kind there were for a Job.
	Requests map[string]float64 `json:"requests,omitempty"`
	// PerSecond is how many Jobs were done in each second.
	PerSecond []float64 `json:"perSecond,omitempty"`
}

// Set sets a value.
func (s *Scenario) Set(name Value, value float64) {
	if s.Values == nil {
		s.Values = map[Value]float64{}
	}
	s.Values[name] = value
}

// SetLatency sets the summary of latencies, which are in seconds.
func (s *Scenario) SetLatency(name string, samples []float64) {
	if s.Latencies == nil {
		s.Latencies = map[string]stats.Summary{}
	}
	s.Latencies[name] = stats.Of(samples)
}

// Scenario returns the one of this name, nil if it did not run.
func (r *Report) Scenario(name string) *Scenario {
	for _, scenario := range r.Scenarios {
		if scenario.Name == name {
			return scenario
		}
	}
	return nil
}

// Find returns what a path such as drain.rate or open-20.deleted.p99 names, in
// the value's own unit, latencies in seconds. It is not found where the scenario
// did not run.
func (r *Report) Find(path string) (value float64, found bool) {
	name, rest, _ := strings.Cut(path, ".")
	scenario := r.Scenario(name)
	if scenario == nil {
		return 0, false
	}
	if value, found = scenario.Values[Value(rest)]; found {
		return value, true
	}
	latency, percentile, _ := strings.Cut(rest, ".")
	summary, found := scenario.Latencies[latency]
	if !found {
		return 0, false
	}
	value, found = map[string]float64{
		"mean": summary.Mean, "p50": summary.P50, "p90": summary.P90, "p99": summary.P99, "max": summary.Max,
	}[percentile]
	return value, found
}

// Write writes the report as JSON.
func (r *Report) Write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// Read reads a report.
func Read(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return r, nil
}
