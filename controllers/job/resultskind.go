package job

import (
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// The manager has no right on Secrets but where a RoleBinding grants it: see
// config/components/secret-results. So there is no RBAC marker for them.

// emptyResults returns an empty object of a kind of results.
func emptyResults(kind string) client.Object {
	if kind == api.ResultsKindSecret {
		return &corev1.Secret{}
	}
	return &corev1.ConfigMap{}
}

// newResults returns content as an object of a kind of results.
func newResults(kind string, content *results.Content, namespace, name string) client.Object {
	if kind == api.ResultsKindSecret {
		return content.Secret(namespace, name)
	}
	return content.ConfigMap(namespace, name)
}

// verify is results.Verify for an object of any kind of results.
func verify(object client.Object, job *batchv1.Job, pods []types.UID) error {
	if secret, ok := object.(*corev1.Secret); ok {
		return results.VerifySecret(secret, job, pods)
	}
	return results.Verify(contentOf(object), job, pods)
}

// contentOf returns what an object of any kind of results holds, nothing where
// it is of another kind.
func contentOf(object client.Object) *corev1.ConfigMap {
	switch o := object.(type) {
	case *corev1.Secret:
		return results.FromSecret(o)
	case *corev1.ConfigMap:
		return o
	default:
		return &corev1.ConfigMap{}
	}
}

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
