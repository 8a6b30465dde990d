package retention

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

// removeCandidate deletes results and then their parts, if they are still what
// they were taken for and the manager is done with their Job. The results go
// first: while they are there, nothing that they list is missing. Parts that are
// left by an interruption are orphans then.
func (r *Retainer) removeCandidate(ctx context.Context, candidate retain.Candidate) error {
	object, err := r.get(ctx, candidate.Ref)
	if err != nil || !r.stillGoes(object, candidate) {
		return err
	}
	content := contentOf(object)
	atWork, err := r.atWork(ctx, jobOf(content))
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
	return r.removeParts(ctx, candidate.Kind, content)
}

// stillGoes reports whether the object, as it is now, is what was to go: results
// of ours, immutable, and expired, or not changed since they were counted.
func (r *Retainer) stillGoes(object client.Object, candidate retain.Candidate) bool {
	if !isOurs(object) {
		return false
	}
	if candidate.Reason == retain.ReasonExpired {
		return retain.Expired(object, r.Clock.Now())
	}
	return object.GetResourceVersion() == candidate.ResourceVersion
}

// keep leaves results that should go for a while.
func (r *Retainer) keep(ctx context.Context, candidate retain.Candidate, why string) {
	ctrl.LoggerFrom(ctx).V(1).Info("results kept", "results", candidate.String(), "why", why)
	if candidate.Reason == retain.ReasonExpired {
		r.Holdings.Postpone(retain.Due{Ref: candidate.Ref, At: r.Clock.Now().Add(keptRetry)})
	}
}

// removeParts deletes what results list that are gone.
func (r *Retainer) removeParts(ctx context.Context, kind string, content *corev1.ConfigMap) error {
	list, err := results.PartsOf(content.Data)
	if err != nil || list == nil {
		// What a list names that cannot be read is found as orphans.
		return nil //nolint:nilerr // see above
	}
	var failed []error
	for _, record := range list.Parts {
		ref := retain.Ref{Kind: kind, Namespace: content.Namespace, Name: record.Name}
		part, err := r.get(ctx, ref)
		if err == nil && isPartOf(part, content) {
			err = r.delete(ctx, part, retain.ReasonPart)
		}
		if !gone(err) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// isPartOf reports whether an object holds a part of these results.
func isPartOf(object client.Object, of *corev1.ConfigMap) bool {
	return isOurs(object) && retain.ClassOf(object) == retain.Part &&
		object.GetAnnotations()[api.PartOfAnnotation] == of.Name &&
		object.GetLabels()[api.JobUIDLabel] == of.Labels[api.JobUIDLabel]
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=delete

// delete deletes the object in the very state in which it was looked at.
func (r *Retainer) delete(ctx context.Context, object client.Object, reason retain.Reason) error {
	uid, version := object.GetUID(), object.GetResourceVersion()
	err := r.Client.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version})
	if err != nil {
		return fmt.Errorf("deleting results %s: %w", client.ObjectKeyFromObject(object), err)
	}
	r.Holdings.Deleted(object)
	r.Metrics.Deleted(reason)
	return nil
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get

func (r *Retainer) get(ctx context.Context, ref retain.Ref) (client.Object, error) {
	var object client.Object = &corev1.ConfigMap{}
	if ref.Kind == api.ResultsKindSecret {
		object = &corev1.Secret{}
	}
	if err := r.Live.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, object); err != nil {
		return nil, fmt.Errorf("getting results %s: %w", ref, err)
	}
	return object, nil
}

// gone reports whether there is nothing left to do; err may be nil.
func gone(err error) bool { return err == nil || apierrors.IsNotFound(err) }

// isOurs reports whether an object is immutable, and a Secret of our type: what
// metadata does not tell. Nobody but us makes such objects by mistake.
func isOurs(object client.Object) bool {
	switch o := object.(type) {
	case *corev1.ConfigMap:
		return o.Immutable != nil && *o.Immutable
	case *corev1.Secret:
		return o.Immutable != nil && *o.Immutable && o.Type == api.SecretType
	default:
		return false
	}
}

// contentOf returns what an object of any kind of results holds.
func contentOf(object client.Object) *corev1.ConfigMap {
	switch o := object.(type) {
	case *corev1.ConfigMap:
		return o
	case *corev1.Secret:
		return results.FromSecret(o)
	default:
		return &corev1.ConfigMap{}
	}
}
