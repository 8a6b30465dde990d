package metrics

import (
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is the type of a metric, in the words of its exposition.
type Kind string

// The types that there are.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Definition is all there is to say of a metric. Every metric is made of one, so
// that what is documented is what is served.
type Definition struct {
	// Name is the whole name.
	Name string
	Kind Kind
	// Help says in a sentence what is measured.
	Help string
	// Absent says when the metric is not served, "" where it always is.
	Absent string
	Labels []Label
	// Buckets are the upper bounds of a histogram. It has native buckets too.
	Buckets []float64
}

// Label is a label of a metric.
type Label struct {
	Name string
	// Values are all that there are. Where they cannot be listed there are none,
	// and Open says what they are, and what bounds their number.
	Values []Value
	Open   string
}

// Value is a value of a label.
type Value struct{ Value, Meaning string }

// Group are the metrics about one thing.
type Group struct {
	Title string
	// Note says what is to be known of all of them, "" for nothing.
	Note        string
	Definitions []Definition
}

// Groups returns the definitions of every metric.
func Groups() []Group {
	return []Group{
		{Title: "Jobs and their results", Definitions: jobDefinitions()},
		{Title: "Backlog", Note: "Of the replica that handles Jobs; on the others it is 0.", Definitions: backlogDefinitions()},
		{Title: "Reading logs", Definitions: readingDefinitions()},
		{Title: "Following logs", Definitions: followDefinitions()},
		{Title: "Captures of deleted pods", Definitions: captureDefinitions()},
		{Title: "Protection", Definitions: protectionDefinitions()},
		{Title: "Retention and budget", Note: "Absent where retention is off.", Definitions: retentionDefinitions()},
		{Title: "Admission", Note: "Absent where the webhook is off.", Definitions: admissionDefinitions()},
		{Title: "The webhook's certificate", Note: "Absent where the webhook is off.", Definitions: certificateDefinitions()},
		{Title: "Self-test", Note: "Absent where the self-test, or the webhook, is off.", Definitions: selfTestDefinitions()},
		{Title: "The program", Definitions: buildDefinitions()},
	}
}

// value is Value for the constants of other packages.
func value[T ~string](of T, meaning string) Value { return Value{string(of), meaning} }

// nativeBucketFactor is by how much a native bucket is wider than the one before.
const nativeBucketFactor = 1.1

// mostNativeBuckets bounds the memory and the samples of a native histogram.
const mostNativeBuckets = 160

func (d Definition) labelNames() []string {
	names := make([]string, 0, len(d.Labels))
	for _, label := range d.Labels {
		names = append(names, label.Name)
	}
	return names
}

// combinations returns the values of the labels with which the metric is served
// from the start, nil where they are not known.
func (d Definition) combinations() [][]string {
	if d.Absent != "" {
		return nil
	}
	all := [][]string{{}}
	for _, label := range d.Labels {
		var longer [][]string
		for _, values := range all {
			for _, value := range label.Values {
				longer = append(longer, append(slices.Clone(values), value.Value))
			}
		}
		all = longer
	}
	return all
}

func (d Definition) desc() *prometheus.Desc {
	return prometheus.NewDesc(d.Name, d.Help, d.labelNames(), nil)
}

// making makes metrics of definitions and registers them, up to the first error.
type making struct {
	registry Registry
	err      error
}

func (m *making) register(collector prometheus.Collector) {
	if m.err == nil {
		m.err = m.registry.Register(collector)
	}
}

// finish returns the error, if there was one, with what was to be registered.
func (m *making) finish(what string) error {
	if m.err != nil {
		return fmt.Errorf("registering the metrics of %s: %w", what, m.err)
	}
	return nil
}

func (m *making) counter(d Definition) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, d.labelNames())
	for _, values := range d.combinations() {
		vec.WithLabelValues(values...)
	}
	m.register(vec)
	return vec
}

func (m *making) gauge(d Definition) *prometheus.GaugeVec {
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: d.Name, Help: d.Help}, d.labelNames())
	for _, values := range d.combinations() {
		vec.WithLabelValues(values...)
	}
	m.register(vec)
	return vec
}

func (m *making) histogram(d Definition) *prometheus.HistogramVec {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: d.Name, Help: d.Help, Buckets: d.Buckets,
		NativeHistogramBucketFactor: nativeBucketFactor, NativeHistogramMaxBucketNumber: mostNativeBuckets,
	}, d.labelNames())
	for _, values := range d.combinations() {
		vec.WithLabelValues(values...)
	}
	m.register(vec)
	return vec
}
