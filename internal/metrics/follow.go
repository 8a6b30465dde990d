package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

const followPrefix = Prefix + "follow_"

func followDefinitions() []Definition {
	return []Definition{followStreams, followWaiting, followParked, followGivenUp, followFallbacks, followReconnects}
}

var (
	followStreams = Definition{
		Name: followPrefix + "streams", Kind: Gauge,
		Help: "Logs that are being followed while they are written.",
	}
	followWaiting = Definition{
		Name: followPrefix + "waiting", Kind: Gauge,
		Help: "Logs that wait until one more may be followed.",
	}
	followParked = Definition{
		Name: followPrefix + "parked", Kind: Gauge,
		Help: "Logs whose stream was closed in favor of other logs, and that wait for another one.",
	}
	followGivenUp = Definition{
		Name: followPrefix + "given_up_total", Kind: Counter,
		Help: "Streams closed in favor of other logs: silent ones, or those of a namespace above its fair share.",
	}
	followFallbacks = Definition{
		Name: followPrefix + "fallbacks_total", Kind: Counter,
		Help: "Logs that did not get their turn to be followed while their Job ran, and are read at its end.",
	}
	followReconnects = Definition{
		Name: followPrefix + "reconnects_total", Kind: Counter,
		Help: "Streams opened to continue a log after another one broke off, or ended before the log did.",
	}
)

// Follow are the metrics of logs that are followed while they are written: of Jobs
// with log-mode follow, and of pods that are being deleted.
type Follow struct {
	following, waiting, parked        *prometheus.GaugeVec
	givenUp, fallbacks, reconnections *prometheus.CounterVec
}

// NewFollow registers the metrics. It fails if they are registered.
func NewFollow(registry Registry) (*Follow, error) {
	m := making{registry: registry}
	f := &Follow{
		following: m.gauge(followStreams), waiting: m.gauge(followWaiting),
		parked: m.gauge(followParked), givenUp: m.counter(followGivenUp),
		fallbacks: m.counter(followFallbacks), reconnections: m.counter(followReconnects),
	}
	return f, m.finish("followed logs")
}

// Following adds to how many logs are followed.
func (f *Follow) Following(more int) { f.following.WithLabelValues().Add(float64(more)) }

// Waiting adds to how many logs wait for their turn.
func (f *Follow) Waiting(more int) { f.waiting.WithLabelValues().Add(float64(more)) }

// Parked adds to how many logs wait for another stream since they gave one up.
func (f *Follow) Parked(more int) { f.parked.WithLabelValues().Add(float64(more)) }

// GaveUp counts a stream that was closed for another log to be followed.
func (f *Follow) GaveUp() { f.givenUp.WithLabelValues().Inc() }

// FellBack counts a log that did not get its turn in time.
func (f *Follow) FellBack() { f.fallbacks.WithLabelValues().Inc() }

// Reconnected counts a stream that was opened since another one broke off.
func (f *Follow) Reconnected() { f.reconnections.WithLabelValues().Inc() }
