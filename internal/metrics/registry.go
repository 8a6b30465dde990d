package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

const namespace = "job_handler"

// Registry is where metrics are registered.
type Registry = prometheus.Registerer

// Served returns the registry whose metrics the manager serves.
func Served() Registry { return metrics.Registry }
