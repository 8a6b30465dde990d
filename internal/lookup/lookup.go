// Package lookup reads what several controllers ask about a Job: the metadata of its
// Namespace, and whether both are still there. It decides nothing, and must not import
// controllers or webhooks.
package lookup

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/policy"
)

// Namespace returns the metadata of a Namespace, empty if it is gone.
func Namespace(ctx context.Context, reader client.Reader, name string) (*metav1.PartialObjectMetadata, error) {
	namespace := policy.NewNamespace()
	err := reader.Get(ctx, client.ObjectKey{Name: name}, namespace)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("getting namespace %s: %w", name, err)
	}
	return namespace, nil
}

// Ends reports whether a Namespace that Namespace returned is gone or being deleted.
func Ends(namespace *metav1.PartialObjectMetadata) bool {
	return namespace.Name == "" || namespace.DeletionTimestamp != nil
}

// StillThere reports whether the Job and its Namespace are there although something was
// not found: a webhook or a proxy may answer so too. live reads from the API server.
func StillThere(ctx context.Context, live client.Reader, job *batchv1.Job) bool {
	if namespace, err := Namespace(ctx, live, job.Namespace); err != nil || Ends(namespace) {
		return false
	}
	now := &batchv1.Job{}
	return live.Get(ctx, client.ObjectKeyFromObject(job), now) == nil && now.UID == job.UID
}
