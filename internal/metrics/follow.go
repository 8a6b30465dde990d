package metrics

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Follow are the metrics of logs that are followed while they are written: of Jobs
// with log-mode follow, and of pods that are being deleted.
type Follow struct {
	following, waiting       prometheus.Gauge
	fallbacks, reconnections prometheus.Counter
}

// NewFollow registers the metrics. It fails if they are registered.
func NewFollow(registry Registry) (*Follow, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: "follow", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: "follow", Name: name, Help: help})
	}
	f := &Follow{
		following: gauge("streams", "Logs that are being followed while they are written."),
		waiting:   gauge("waiting", "Logs that wait until one more may be followed."),
		fallbacks: counter("fallbacks_total",
			"Logs that did not get their turn to be followed while their Job ran, and are read at its end."),
		reconnections: counter("reconnects_total",
			"Streams opened to go on with a log after another one broke off, or ended before the log did."),
	}
	for _, collector := range []prometheus.Collector{f.following, f.waiting, f.fallbacks, f.reconnections} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("registering the metrics of followed logs: %w", err)
		}
	}
	return f, nil
}

// Following adds to how many logs are followed.
func (f *Follow) Following(more int) { f.following.Add(float64(more)) }

// Waiting adds to how many logs wait for their turn.
func (f *Follow) Waiting(more int) { f.waiting.Add(float64(more)) }

// FellBack counts a log that did not get its turn in time.
func (f *Follow) FellBack() { f.fallbacks.Inc() }

// Reconnected counts a stream that was opened since another one broke off.
func (f *Follow) Reconnected() { f.reconnections.Inc() }
