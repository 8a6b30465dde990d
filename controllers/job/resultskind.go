package job

import (
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/job-handler/job-handler/internal/api"
)

// The manager has no right on Secrets but where a RoleBinding grants it: see
// config/components/secret-results. So there is no RBAC marker for them.

// explain says what to do about missing rights on Secrets, in front, since
// Events are short.
func (r *Reconciler) explain(kind, namespace string, err error) error {
	if kind != api.ResultsKindSecret || !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `resource "secrets"`) {
		return err
	}
	return fmt.Errorf("results-kind %s needs a right here: kubectl create rolebinding %s -n %s --clusterrole=%s --serviceaccount=%s:%s "+
		"(the ClusterRole comes with the component secret-results): %w", kind, api.SecretResultsRole, namespace,
		api.SecretResultsRole, r.Options.Namespace, api.ManagerName, err)
}
