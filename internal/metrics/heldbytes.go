package metrics

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// heldBytes is what results take in each namespace, and shows those where it is
// most: there may be thousands of namespaces, and each would be a series for ever.
type heldBytes struct {
	bytes, all, namespaces *prometheus.Desc

	mu sync.Mutex
	// by namespace; nil until they were counted.
	of map[string]int64
}

func newHeldBytes() *heldBytes {
	return &heldBytes{bytes: resultsBytes.desc(), all: resultsAllBytes.desc(), namespaces: resultsNamespaces.desc()}
}

func (h *heldBytes) set(namespace string, bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case bytes == 0:
		delete(h.of, namespace)
	case h.of == nil:
		h.of = map[string]int64{namespace: bytes}
	default:
		h.of[namespace] = bytes
	}
}

func (h *heldBytes) reset(bytes map[string]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of = maps.Clone(bytes)
	if h.of == nil {
		h.of = map[string]int64{}
	}
}

// Describe implements prometheus.Collector.
func (h *heldBytes) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{h.bytes, h.all, h.namespaces} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (h *heldBytes) Collect(metrics chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		return
	}
	gauge := func(desc *prometheus.Desc, value int64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	var all int64
	for _, bytes := range h.of {
		all += bytes
	}
	gauge(h.all, all)
	gauge(h.namespaces, int64(len(h.of)))
	most := slices.SortedFunc(maps.Keys(h.of), func(a, b string) int {
		return cmp.Or(cmp.Compare(h.of[b], h.of[a]), cmp.Compare(a, b))
	})
	for _, namespace := range most[:min(len(most), mostNamespaces)] {
		gauge(h.bytes, h.of[namespace], namespace)
	}
}
