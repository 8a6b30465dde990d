package metrics

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// SpillFailure is why captures could not be stored beside their Job.
type SpillFailure string

// The values of the label cause.
const (
	// SpillQuota: a quota of the namespace refused it.
	SpillQuota SpillFailure = "quota"
	// SpillRights: the manager lacks a right, or a policy refused it.
	SpillRights SpillFailure = "rights"
	// SpillSize: the API server found it too large.
	SpillSize SpillFailure = "size"
	// SpillGone: Job or namespace were not there any more, or about to go.
	SpillGone SpillFailure = "gone"
	// SpillPassing: the API server was busy or away.
	SpillPassing SpillFailure = "passing"
	// SpillOther: anything else.
	SpillOther SpillFailure = "other"
)

// CaptureStats tells what is kept of pods that were deleted before their Job was
// stored.
type CaptureStats struct {
	Pods, MemoryBytes int
	Cut, Dropped      int64
}

// Captures are the metrics of captures. A nil *Captures counts nothing.
type Captures struct {
	objects, pods, bytes prometheus.Counter
	failures             *prometheus.CounterVec
}

// NewCaptures registers the metrics; stats is called whenever they are read. It
// fails if they are registered.
func NewCaptures(registry Registry, stats func() CaptureStats) (*Captures, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: captureSubsystem, Name: name, Help: help})
	}
	c := &Captures{
		objects: counter("spilled_objects_total", "Objects that captures were stored in before their Job had finished."),
		pods:    counter("spilled_pods_total", "Captured pods that were stored before their Job had finished."),
		bytes:   counter("spilled_bytes_total", "Bytes of values of the objects that captures were stored in."),
		// cause: quota, rights, size, gone, passing or other.
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: captureSubsystem, Name: "spill_failures_total",
			Help: "Tries to store captures that failed, by cause: quota, rights, size, gone, passing (the API server was busy or away), other.",
		}, []string{"cause"}),
	}
	for _, cause := range []SpillFailure{SpillQuota, SpillRights, SpillSize, SpillGone, SpillPassing, SpillOther} {
		c.failures.WithLabelValues(string(cause))
	}
	for _, collector := range []prometheus.Collector{c.objects, c.pods, c.bytes, c.failures, newCaptureCollector(stats)} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("registering the metrics of captures: %w", err)
		}
	}
	return c, nil
}

// Spilled counts an object that was stored, with so many pods and bytes.
func (c *Captures) Spilled(pods, bytes int) {
	if c == nil {
		return
	}
	c.objects.Inc()
	c.pods.Add(float64(pods))
	c.bytes.Add(float64(bytes))
}

// SpillFailed counts a try that failed.
func (c *Captures) SpillFailed(cause SpillFailure) {
	if c == nil {
		return
	}
	c.failures.WithLabelValues(string(cause)).Inc()
}

const captureSubsystem = "capture"

// captureCollector asks for the present state when metrics are read.
type captureCollector struct {
	stats                      func() CaptureStats
	pods, memory, cut, dropped *prometheus.Desc
}

func newCaptureCollector(stats func() CaptureStats) *captureCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, captureSubsystem, name), help, nil, nil)
	}
	return &captureCollector{
		stats:   stats,
		pods:    desc("pods", "Pods that are kept in memory since they were deleted before their Job was stored."),
		memory:  desc("memory_bytes", "Memory in use by captured logs, of --capture-memory."),
		cut:     desc("cuts_total", "How often a captured log was shortened since --capture-memory was used up."),
		dropped: desc("dropped_pods_total", "Captured pods of which nothing is left since there were too many."),
	}
}

// Describe implements prometheus.Collector.
func (c *captureCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.pods, c.memory, c.cut, c.dropped} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *captureCollector) Collect(metrics chan<- prometheus.Metric) {
	s := c.stats()
	gauge := func(desc *prometheus.Desc, value int) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value))
	}
	gauge(c.pods, s.Pods)
	gauge(c.memory, s.MemoryBytes)
	metrics <- prometheus.MustNewConstMetric(c.cut, prometheus.CounterValue, float64(s.Cut))
	metrics <- prometheus.MustNewConstMetric(c.dropped, prometheus.CounterValue, float64(s.Dropped))
}
