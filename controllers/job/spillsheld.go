package job

import (
	"context"
	"fmt"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/retain"
)

// spillName tells the objects apart that keep captures of a Job.
type spillName struct{ kind, name string }

// heldSpill is such an object as this process made or read it: immutable, labelled
// as the Job's, and owned by the Job.
type heldSpill struct {
	retain.Ref
	bytes int64
}

// holds notes an object that is as it should be.
func (s *spills) holds(job types.UID, kind string, object client.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.get(job)
	if known.objects == nil {
		known.objects = map[spillName]heldSpill{}
	}
	known.objects[spillName{kind, object.GetName()}] = heldSpill{retain.RefOf(kind, object), retain.Bytes(object)}
}

// drop forgets the objects of the Job, and returns them.
func (s *spills) drop(job types.UID) []heldSpill {
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

// unseen returns which objects may be there besides those that drop returns: those
// whose creation was not answered, or whose name was taken.
func (s *spills) unseen(job *batchv1.Job) []spillName {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.byID[job.UID]
	if known == nil {
		return nil
	}
	var names []spillName
	for kind, next := range known.numbers {
		for number := range next {
			name := spillName{kind, spillKey(job, number).Name}
			if _, seen := known.objects[name]; !seen {
				names = append(names, name)
			}
		}
	}
	return names
}

// forgetSpills drops what is known of captures of a Job that is gone, or left alone.
// They go with the Job.
func (r *Reconciler) forgetSpills(job types.UID) {
	for _, held := range r.spills.drop(job) {
		r.Holdings.Freed(held.Namespace, held.bytes)
	}
	r.spills.forget(job)
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=delete

// removeSpills deletes the captures of a Job whose results, which have all that was
// captured, are stored, and which stays. It makes no request for a Job without
// captures. Failures hold nothing up: what is left is deleted by retention.
func (r *Reconciler) removeSpills(ctx context.Context, job *batchv1.Job) {
	ctx, cancel := context.WithTimeout(ctx, spillTimeout)
	defer cancel()
	logger := ctrl.LoggerFrom(ctx)
	for _, name := range r.spills.unseen(job) {
		if err := r.findSpill(ctx, job, name); err != nil {
			logger.V(1).Info("captures are left for now", "kind", name.kind, "capture", name.name, "cause", err.Error())
		}
	}
	for _, held := range r.spills.drop(job.UID) {
		if err := r.removeSpill(ctx, held); err != nil {
			logger.V(1).Info("captures are left for now", "capture", held.String(), "cause", err.Error())
		}
	}
}

// findSpill notes an object that is there and as it should be.
func (r *Reconciler) findSpill(ctx context.Context, job *batchv1.Job, name spillName) error {
	object := emptyResults(name.kind)
	key := types.NamespacedName{Namespace: job.Namespace, Name: name.name}
	if err := r.Live.Get(ctx, key, object); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("getting captured logs %s: %w", key, err)
	}
	if _, err := spillValues(object, job); err == nil {
		r.spills.holds(job.UID, name.kind, object)
	}
	return nil
}

// removeSpill deletes the very object that was seen, in the state in which it was.
func (r *Reconciler) removeSpill(ctx context.Context, held heldSpill) error {
	object := emptyResults(held.Kind)
	object.SetNamespace(held.Namespace)
	object.SetName(held.Name)
	err := r.Client.Delete(ctx, object, client.Preconditions{UID: &held.UID, ResourceVersion: &held.ResourceVersion})
	if err == nil || apierrors.IsNotFound(err) {
		r.Holdings.Freed(held.Namespace, held.bytes)
		return nil
	}
	return fmt.Errorf("deleting captured logs: %w", err)
}
