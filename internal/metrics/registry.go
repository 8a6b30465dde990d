package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Prefix is that of the name of every metric.
const Prefix = "job_handler_"

// Registry is where metrics are registered.
type Registry = prometheus.Registerer

// Served returns the registry whose metrics the manager serves.
func Served() Registry { return metrics.Registry }
