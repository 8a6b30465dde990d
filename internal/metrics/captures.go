package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/job-handler/job-handler/internal/capture"
)

const capturePrefix = Prefix + "capture_"

func captureDefinitions() []Definition {
	return []Definition{
		capturePods, captureMemory, captureCuts, captureDropped, spilledObjects, spilledPods, spilledBytes, spillFailures,
	}
}

var (
	capturePods = Definition{
		Name: capturePrefix + "pods", Kind: Gauge,
		Help: "Deleted pods that are kept in memory until the results of their Job are stored.",
	}
	captureMemory = Definition{
		Name: capturePrefix + "memory_bytes", Kind: Gauge,
		Help: "Memory in use by captured logs, of --capture-memory.",
	}
	captureCuts = Definition{
		Name: capturePrefix + "cuts_total", Kind: Counter,
		Help: "How often a captured log was shortened because --capture-memory was used up.",
	}
	captureDropped = Definition{
		Name: capturePrefix + "dropped_pods_total", Kind: Counter,
		Help: "Captured pods that were dropped because there were too many.",
	}
	spilledObjects = Definition{
		Name: capturePrefix + "spilled_objects_total", Kind: Counter,
		Help: "Objects that captures were stored in before their Job had finished.",
	}
	spilledPods = Definition{
		Name: capturePrefix + "spilled_pods_total", Kind: Counter,
		Help: "Captured pods that were stored before their Job had finished.",
	}
	spilledBytes = Definition{
		Name: capturePrefix + "spilled_bytes_total", Kind: Counter,
		Help: "Bytes of values of the objects that captures were stored in.",
	}
	spillFailures = Definition{
		Name: capturePrefix + "spill_failures_total", Kind: Counter,
		Help: "Failed tries to store captures, by cause.",
		Labels: []Label{{Name: "cause", Values: []Value{
			value(capture.SaveQuota, "A quota of the namespace refused it."),
			value(capture.SaveRights, "The manager lacks a right, or a policy refused it."),
			value(capture.SaveSize, "The API server found it too large."),
			value(capture.SaveBudget, "Results are above a budget, and captures of the Job have reached the lower limit that applies then."),
			value(capture.SaveGone, "The Job or its namespace was deleted, or is being deleted."),
			value(capture.SavePassing, "The API server was busy or away."),
			value(capture.SaveOther, "Anything else."),
		}}},
	}
)

// CaptureStats tells what is kept of pods that were deleted before their Job was
// stored.
type CaptureStats struct {
	Pods, MemoryBytes int
	Cut, Dropped      int64
}

// Captures are the metrics of captures. A nil *Captures counts nothing.
type Captures struct {
	objects, pods, bytes, failures *prometheus.CounterVec
}

// NewCaptures registers the metrics; stats is called whenever they are read. It
// fails if they are registered.
func NewCaptures(registry Registry, stats func() CaptureStats) (*Captures, error) {
	m := making{registry: registry}
	c := &Captures{
		objects: m.counter(spilledObjects), pods: m.counter(spilledPods), bytes: m.counter(spilledBytes),
		failures: m.counter(spillFailures),
	}
	m.register(newCaptureCollector(stats))
	return c, m.finish("captures")
}

// Spilled counts an object that was stored, with so many pods and bytes.
func (c *Captures) Spilled(pods, bytes int) {
	if c == nil {
		return
	}
	c.objects.WithLabelValues().Inc()
	c.pods.WithLabelValues().Add(float64(pods))
	c.bytes.WithLabelValues().Add(float64(bytes))
}

// SpillFailed counts a try that failed.
func (c *Captures) SpillFailed(cause capture.SaveFailure) {
	if c == nil {
		return
	}
	c.failures.WithLabelValues(string(cause)).Inc()
}

// captureCollector asks for the present state when metrics are read.
type captureCollector struct {
	stats                      func() CaptureStats
	pods, memory, cut, dropped *prometheus.Desc
}

func newCaptureCollector(stats func() CaptureStats) *captureCollector {
	return &captureCollector{
		stats: stats,
		pods:  capturePods.desc(), memory: captureMemory.desc(), cut: captureCuts.desc(), dropped: captureDropped.desc(),
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
