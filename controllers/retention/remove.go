package retention

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

// removeCandidate deletes results and then their parts, if nothing has changed and the
// manager is done with the Job. The results go first: results that exist have all their
// parts. Parts that an interruption leaves are orphans.
func (r *Retainer) removeCandidate(ctx context.Context, candidate retain.Candidate) error {
	object, err := r.get(ctx, candidate.Ref)
	if err != nil || !stillGoes(object, candidate, r.Clock.Now()) {
		return err
	}
	atWork, err := r.atWork(ctx, jobOf(object))
	if err != nil {
		return err
	}
	if atWork {
		r.keep(ctx, candidate, "the manager has not finished with their job")
		return nil
	}
	err = r.delete(ctx, object, candidate.Reason)
	if apierrors.IsConflict(err) {
		r.keep(ctx, candidate, "changed meanwhile")
		return nil
	}
	if err != nil {
		return err
	}
	ctrl.LoggerFrom(ctx).Info("results deleted", "namespace", candidate.Namespace, "results", candidate.Name,
		"kind", candidate.Kind, "reason", candidate.Reason)
	return r.removeParts(ctx, object)
}

// stillGoes reports whether the object may still be deleted: it is an immutable results
// object of ours, and expired, or unchanged since it was counted.
func stillGoes(object *results.Object, candidate retain.Candidate, now time.Time) bool {
	if !object.Ours() {
		return false
	}
	if candidate.Reason == retain.ReasonExpired {
		return retain.Expired(object, now)
	}
	return object.ResourceVersion == candidate.ResourceVersion
}

// keep postpones the deletion of results.
func (r *Retainer) keep(ctx context.Context, candidate retain.Candidate, why string) {
	ctrl.LoggerFrom(ctx).V(1).Info("results kept", "results", candidate.String(), "why", why)
	if candidate.Reason == retain.ReasonExpired {
		r.Store.Holdings.Postpone(retain.Due{Ref: candidate.Ref, At: r.Clock.Now().Add(keptRetry)})
	}
}

// removeParts deletes the parts of deleted results.
func (r *Retainer) removeParts(ctx context.Context, of *results.Object) error {
	var failed []error
	for _, record := range partsOf(of) {
		ref := retain.Ref{Kind: of.Kind, Namespace: of.Namespace, Name: record.Name}
		part, err := r.get(ctx, ref)
		if err == nil && isPartOf(part, of) {
			err = r.delete(ctx, part, retain.ReasonPart)
		}
		if !gone(err) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// partsOf returns the parts that results list. Parts on a list that cannot be read are
// found as orphans later.
func partsOf(object *results.Object) []results.PartRecord {
	list, err := object.Parts()
	if err != nil {
		return nil
	}
	return list.Parts
}

// isPartOf reports whether an object holds a part of these results.
func isPartOf(object, of *results.Object) bool {
	return object.Ours() && retain.ClassOf(object) == retain.Part &&
		object.Annotations[api.PartOfAnnotation] == of.Name &&
		object.Labels[api.JobUIDLabel] == of.Labels[api.JobUIDLabel]
}

// delete deletes the object if it has not changed since it was read.
func (r *Retainer) delete(ctx context.Context, object *results.Object, reason retain.Reason) error {
	if err := r.Store.Delete(ctx, retain.RefOf(object.Kind, object), retain.Bytes(object)); err != nil {
		return err
	}
	r.Metrics.Deleted(reason)
	return nil
}

func (r *Retainer) get(ctx context.Context, ref retain.Ref) (*results.Object, error) {
	return r.Store.Get(ctx, ref.Kind, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name})
}

// gone reports whether the object is gone; err may be nil.
func gone(err error) bool { return err == nil || apierrors.IsNotFound(err) }
