package metrics

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/job-handler/job-handler/internal/plan"
)

// Protection are the metrics of the finalizer that holds Jobs until their
// results are stored. A nil one counts nothing.
type Protection struct {
	releases *prometheus.CounterVec
	held     prometheus.Gauge
}

// NewProtection registers the metrics. It fails if they are registered.
func NewProtection(registry Registry) (*Protection, error) {
	p := &Protection{
		// reason: stored, unfinished, opted-out, namespace, withdrawn or deadline.
		releases: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "protect", Name: "releases_total",
			Help: "Jobs that lost the finalizer job-handler/results by reason: results stored, deleted unfinished, " +
				"opted-out, namespace terminating, protect withdrawn, or without results after --protect-deadline.",
		}, []string{"reason"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "protect", Name: "held_deletions",
			Help: "Jobs that somebody deleted and the finalizer job-handler/results holds until their results are stored.",
		}),
	}
	for _, collector := range []prometheus.Collector{p.releases, p.held} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("registering the metrics of protection: %w", err)
		}
	}
	for _, reason := range []plan.Released{
		plan.ReleasedStored, plan.ReleasedUnfinished, plan.ReleasedOptedOut,
		plan.ReleasedNamespace, plan.ReleasedWithdrawn, plan.ReleasedDeadline,
	} {
		p.releases.WithLabelValues(string(reason))
	}
	return p, nil
}

// Released counts a Job that lost the finalizer.
func (p *Protection) Released(why plan.Released) {
	if p != nil {
		p.releases.WithLabelValues(string(why)).Inc()
	}
}

// SetHeld says how many deletions are held up.
func (p *Protection) SetHeld(deletions int) {
	if p != nil {
		p.held.Set(float64(deletions))
	}
}
