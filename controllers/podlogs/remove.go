package podlogs

import (
	"context"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/resultstore"
	"github.com/job-handler/job-handler/internal/retain"
)

// objectName identifies an object with captures of a Job.
type objectName struct{ kind, name string }

// savedObject is an object that this process created or verified: immutable, and labelled
// and owned as the Job's.
type savedObject struct {
	retain.Ref
	bytes int64
}

// holds records an object that this process created or verified.
func (s *saved) holds(job types.UID, kind string, object metav1.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.get(job)
	if known.objects == nil {
		known.objects = map[objectName]savedObject{}
	}
	known.objects[objectName{kind, object.GetName()}] = savedObject{retain.RefOf(kind, object), retain.Bytes(object)}
}

// drop forgets the objects of the Job, and returns them.
func (s *saved) drop(job types.UID) []savedObject {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.byID[job]
	if known == nil {
		return nil
	}
	held := slices.Collect(maps.Values(known.objects))
	known.objects = nil
	return held
}

// unseen returns the objects that may exist besides those that drop returns: creating
// them was not answered, or their name was in use.
func (s *saved) unseen(job *batchv1.Job) []objectName {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.byID[job.UID]
	if known == nil {
		return nil
	}
	var names []objectName
	for kind, next := range known.numbers {
		for number := range next {
			name := objectName{kind, objectKey(job, number).Name}
			if _, seen := known.objects[name]; !seen {
				names = append(names, name)
			}
		}
	}
	return names
}

// forgetAll drops what is known of the saved captures of a Job that is gone, or left
// alone. Kubernetes deletes them with the Job.
func (s *saved) forgetAll(job types.UID, store *resultstore.Store) {
	for _, held := range s.drop(job) {
		store.Holdings.Freed(held.Namespace, held.bytes)
	}
	s.forget(job)
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=delete

// RemoveSaved deletes the saved captures of a Job that stays and whose results are stored:
// the results have all of them. It makes no request for a Job without captures. After a
// failure, retention deletes them later.
func (k *Keeper) RemoveSaved(ctx context.Context, job *batchv1.Job) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	logger := ctrl.LoggerFrom(ctx)
	for _, name := range k.saved.unseen(job) {
		if err := k.findObject(ctx, job, name); err != nil {
			logger.V(1).Info("captures not deleted for now", "kind", name.kind, "capture", name.name, "cause", err.Error())
		}
	}
	for _, held := range k.saved.drop(job.UID) {
		if err := k.removeObject(ctx, held); err != nil {
			logger.V(1).Info("captures not deleted for now", "capture", held.String(), "cause", err.Error())
		}
	}
}

// findObject records an object that exists and is valid.
func (k *Keeper) findObject(ctx context.Context, job *batchv1.Job, name objectName) error {
	object, err := k.Store.Get(ctx, name.kind, types.NamespacedName{Namespace: job.Namespace, Name: name.name})
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if _, err := object.Captures(job); err == nil {
		k.saved.holds(job.UID, name.kind, object)
	}
	return nil
}

// removeObject deletes the object, if it has not changed since it was seen.
func (k *Keeper) removeObject(ctx context.Context, held savedObject) error {
	err := k.Store.Delete(ctx, held.Ref, held.bytes)
	if apierrors.IsNotFound(err) {
		k.Store.Holdings.Freed(held.Namespace, held.bytes)
		return nil
	}
	return err
}
