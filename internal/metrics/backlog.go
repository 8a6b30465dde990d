package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const backlogPrefix = Prefix + "backlog_"

func backlogDefinitions() []Definition { return []Definition{backlogJobs, backlogOldest} }

var (
	backlogJobs = Definition{
		Name: backlogPrefix + "jobs", Kind: Gauge,
		Help: "Finished Jobs that do not say yet that their results are stored; 0 on a replica that handles no Jobs.",
	}
	backlogOldest = Definition{
		Name: backlogPrefix + "oldest_seconds", Kind: Gauge,
		Help: "For how long the oldest of them has been finished; 0 without any.",
	}
)

// Backlog is how many runs are to be stored, and for how long the oldest has been
// finished.
type Backlog struct {
	Jobs   int
	Oldest time.Duration
}

// NewBacklog registers the metrics; backlog is called whenever they are read. It
// fails if they are registered.
func NewBacklog(registry Registry, backlog func() Backlog) error {
	m := making{registry: registry}
	m.register(&backlogCollector{backlog: backlog, jobs: backlogJobs.desc(), oldest: backlogOldest.desc()})
	return m.finish("the backlog")
}

type backlogCollector struct {
	backlog      func() Backlog
	jobs, oldest *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *backlogCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.jobs
	descs <- c.oldest
}

// Collect implements prometheus.Collector.
func (c *backlogCollector) Collect(metrics chan<- prometheus.Metric) {
	now := c.backlog()
	metrics <- prometheus.MustNewConstMetric(c.jobs, prometheus.GaugeValue, float64(now.Jobs))
	metrics <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, now.Oldest.Seconds())
}
