package retention

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/retain"
)

// removeOrphans deletes the parts that their results do not list, if the manager is done
// with the Job: until then, the next try to store the results may list them. It reads the
// Job before the results, so that it sees every list that will ever exist.
func (r *Retainer) removeOrphans(ctx context.Context, parts *retain.Parts, survey *retain.Survey) error {
	atWork, err := r.atWork(ctx, job{namespace: parts.Namespace, name: parts.JobName, uid: parts.JobUID})
	if err != nil || atWork {
		return err
	}
	listed, err := r.listed(ctx, parts)
	if err != nil {
		return err
	}
	var failed []error
	for _, ref := range parts.Refs {
		if listed.Has(ref.Name) {
			survey.Settle(ref.UID)
			continue
		}
		failed = append(failed, r.removeOrphan(ctx, ref))
	}
	return errors.Join(failed...)
}

// listed returns the names of the parts that their results list. If the list cannot be
// read, it returns all of these parts.
func (r *Retainer) listed(ctx context.Context, parts *retain.Parts) (sets.Set[string], error) {
	names := sets.New[string]()
	object, err := r.get(ctx, retain.Ref{Kind: parts.Kind, Namespace: parts.Namespace, Name: parts.Of})
	if apierrors.IsNotFound(err) {
		return names, nil
	}
	if err != nil {
		return nil, err
	}
	if types.UID(object.Labels[api.JobUIDLabel]) != parts.JobUID {
		// Another run uses the name by now.
		return names, nil
	}
	list, err := object.Parts()
	switch {
	case err != nil:
		for _, ref := range parts.Refs {
			names.Insert(ref.Name)
		}
	default:
		for _, record := range list.Parts {
			names.Insert(record.Name)
		}
	}
	return names, nil
}

func (r *Retainer) removeOrphan(ctx context.Context, ref retain.Ref) error {
	part, err := r.get(ctx, ref)
	if gone(err) && part == nil {
		return nil
	}
	if err != nil {
		return err
	}
	if part.UID != ref.UID || !part.Ours() || !retain.Orphanable(part, r.Clock.Now()) {
		return nil
	}
	if err := r.delete(ctx, part, retain.ReasonOrphan); !gone(err) {
		return err
	}
	ctrl.LoggerFrom(ctx).Info("part deleted, no results list it", "namespace", ref.Namespace, "part", ref.Name, "kind", ref.Kind)
	return nil
}
