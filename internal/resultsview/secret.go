package resultsview

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// FromSecret returns secret as an Object.
func FromSecret(secret *corev1.Secret) Object {
	o := FromConfigMap(results.FromSecret(secret))
	o.Kind, o.Stored = api.ResultsKindSecret, secret
	return o
}
