package resultstore

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
)

// errPartsLost says of results that are whole themselves that a part is not.
var errPartsLost = fmt.Errorf("%w: its parts are not whole", results.ErrDamaged)

// Check returns nil if the object with this name holds the results of the Job, whole,
// with all parts. For an error that results.IsMismatch accepts it does not; any other
// error says that this cannot be found out now.
func (s *Store) Check(ctx context.Context, job *batchv1.Job, kind, name string) error {
	// Anybody may edit the annotation that has the name. No object has an invalid name.
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return fmt.Errorf("%w: no object can be called %q", results.ErrStranger, name)
	}
	_, err := s.whole(ctx, job, kind, name, nil)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%w: %w", results.ErrStranger, err)
	}
	return err
}

// whole returns the object with this name if it holds the results of the Job, and
// of these pods, whole, with all parts.
func (s *Store) whole(ctx context.Context, job *batchv1.Job, kind, name string, pods []types.UID) (*results.Object, error) {
	object, err := s.Get(ctx, kind, types.NamespacedName{Namespace: job.Namespace, Name: name})
	if err != nil {
		return nil, err
	}
	if err := object.Verify(job, pods); err != nil {
		return nil, err
	}
	return object, s.checkParts(ctx, object, job)
}

// checkParts returns nil if every part that a verified results object lists is
// there and whole, an error that wraps errPartsLost if not, and any other if
// that cannot be found out.
func (s *Store) checkParts(ctx context.Context, object *results.Object, job *batchv1.Job) error {
	list, err := object.Parts()
	if err != nil {
		return err
	}
	for _, record := range list.Parts {
		part, err := s.Get(ctx, object.Kind, types.NamespacedName{Namespace: job.Namespace, Name: record.Name})
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("%w: part %s is not there", errPartsLost, record.Name)
		}
		if err != nil {
			return err
		}
		if err := part.VerifyPart(job, record); err != nil {
			return fmt.Errorf("%w: part %s: %w", errPartsLost, record.Name, err)
		}
	}
	return nil
}

// Lost reports whether no object that may hold the results of the Job does. wish is
// the name that the Job wishes for. What the manager may not read it could not store
// either.
func (s *Store) Lost(ctx context.Context, job *batchv1.Job, kind, wish string) (bool, error) {
	for _, name := range names.Candidates(wish, job.UID) {
		object, err := s.Get(ctx, kind, types.NamespacedName{Namespace: job.Namespace, Name: name})
		switch {
		case err == nil && object.Verify(job, nil) == nil:
			return false, nil
		case err == nil, apierrors.IsNotFound(err), apierr.Of(err) == apierr.Rejected:
		default:
			return false, err
		}
	}
	return true, nil
}
