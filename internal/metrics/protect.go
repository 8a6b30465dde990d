package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/job-handler/job-handler/internal/plan"
)

const protectPrefix = Prefix + "protect_"

func protectionDefinitions() []Definition { return []Definition{protectReleases, protectHeld} }

var (
	protectReleases = Definition{
		Name: protectPrefix + "releases_total", Kind: Counter,
		Help: "Jobs that lost the finalizer job-handler/results by reason.",
		Labels: []Label{{Name: "reason", Values: []Value{
			value(plan.ReleasedStored, "Their results are stored."),
			value(plan.ReleasedUnfinished, "They were deleted before they finished: there are no results to wait for."),
			value(plan.ReleasedOptedOut, "They are not handled any more."),
			value(plan.ReleasedNamespace, "Their namespace terminates."),
			value(plan.ReleasedWithdrawn, "Protection is no longer asked for."),
			value(plan.ReleasedDeadline, "Their deletion was delayed for `--protect-deadline`, and their results were not stored."),
		}}},
	}
	protectHeld = Definition{
		Name: protectPrefix + "held_deletions", Kind: Gauge,
		Help: "Deleted Jobs that the finalizer job-handler/results holds until their results are stored.",
	}
)

// Protection are the metrics of the finalizer that holds Jobs until their
// results are stored. A nil one counts nothing.
type Protection struct {
	releases *prometheus.CounterVec
	held     *prometheus.GaugeVec
}

// NewProtection registers the metrics. It fails if they are registered.
func NewProtection(registry Registry) (*Protection, error) {
	m := making{registry: registry}
	p := &Protection{releases: m.counter(protectReleases), held: m.gauge(protectHeld)}
	return p, m.finish("protection")
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
		p.held.WithLabelValues().Set(float64(deletions))
	}
}
