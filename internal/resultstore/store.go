package resultstore

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/holdings"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

// Store reads, creates and deletes results objects: ConfigMaps and Secrets. Errors
// wrap those of the API server. It has no state of its own but Holdings, and may be
// used by many goroutines.
type Store struct {
	// Client writes, Live reads from the API server.
	Client client.Writer
	Live   client.Reader
	// Holdings counts what is created and deleted; nil disables counting.
	Holdings *holdings.Holdings
	// Namespace is the manager's own. Explain names it.
	Namespace string
}

// The manager has no right on Secrets unless a RoleBinding grants it: see
// config/components/secret-results. So there is no RBAC marker for them.

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get

// Get returns the object with this name.
func (s *Store) Get(ctx context.Context, kind string, key types.NamespacedName) (*results.Object, error) {
	stored := results.Empty(kind)
	if err := s.Live.Get(ctx, key, stored); err != nil {
		return nil, fmt.Errorf("getting results %s: %w", key, s.Explain(kind, key.Namespace, err))
	}
	return results.Decode(stored), nil
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=create

// Create creates the object and returns what the API server made of it: an
// admission webhook may have changed it.
func (s *Store) Create(ctx context.Context, object *results.Object) (*results.Object, error) {
	stored := object.Encode()
	if err := s.Client.Create(ctx, stored); err != nil {
		return nil, fmt.Errorf("creating results %s: %w", keyOf(object), s.Explain(object.Kind, object.Namespace, err))
	}
	s.Holdings.Stored(object.Kind, stored)
	return results.Decode(stored), nil
}

// CreateOrGet creates the object, or returns the one that has its name already.
func (s *Store) CreateOrGet(ctx context.Context, object *results.Object) (*results.Object, error) {
	made, err := s.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		made, err = s.Get(ctx, object.Kind, keyOf(object))
		err = ConflictIfGone(object.Kind, object.Name, err)
	}
	return made, err
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=delete

// Delete deletes the object that ref names, which takes so many bytes, if it is still
// in the state that ref has. In another state it is a conflict.
func (s *Store) Delete(ctx context.Context, ref retain.Ref, bytes int64) error {
	stored := results.Empty(ref.Kind)
	stored.SetNamespace(ref.Namespace)
	stored.SetName(ref.Name)
	stored.SetUID(ref.UID)
	stored.SetResourceVersion(ref.ResourceVersion)
	err := s.Client.Delete(ctx, stored, client.Preconditions{UID: &ref.UID, ResourceVersion: &ref.ResourceVersion})
	if err != nil {
		return fmt.Errorf("deleting results %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	s.Holdings.Freed(ref.Namespace, bytes)
	return nil
}

// Explain adds to an error what to do about missing rights on Secrets. It comes
// first, since Events are short.
func (s *Store) Explain(kind, namespace string, err error) error {
	if kind != api.ResultsKindSecret || !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `resource "secrets"`) {
		return err
	}
	return fmt.Errorf("results-kind %s needs a right here: kubectl create rolebinding %s -n %s --clusterrole=%s --serviceaccount=%s:%s "+
		"(the ClusterRole comes with the component secret-results): %w", kind, api.SecretResultsRole, namespace,
		api.SecretResultsRole, s.Namespace, api.ManagerName, err)
}

// ConflictIfGone returns a conflict for an object that had the name and was deleted
// meanwhile, since the name is free now; other errors as they are.
func ConflictIfGone(kind, name string, err error) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewConflict(corev1.Resource(strings.ToLower(kind)+"s"), name, err)
	}
	return err
}

func keyOf(object *results.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
}
