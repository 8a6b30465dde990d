package job

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/results"
)

// storeParts stores the parts of content that the results object called name
// will list, and lists them in content. Parts are named by what they hold: those
// that a pass before this one stored are found, and those of another build are
// left, since nothing lists them. The results object comes last; until then
// nothing counts as stored.
func (r *Reconciler) storeParts(ctx context.Context, observed plan.Observation, content *results.Content, name string) error {
	if len(content.Parts) == 0 {
		return nil
	}
	stored := make([]string, 0, len(content.Parts))
	for _, part := range content.Parts {
		partName, err := r.storePart(ctx, observed, content, part, name)
		if err != nil {
			return err
		}
		stored = append(stored, partName)
	}
	return content.ListParts(stored)
}

// storePart creates the object of a part under the first name that is free, or
// finds it there, and returns its name.
func (r *Reconciler) storePart(ctx context.Context, observed plan.Observation, content *results.Content, part results.Part, of string) (string, error) {
	job, kind := observed.Job, observed.Policy.ResultsKind
	held := content.PartContent(part, of)
	var taken []string
	for _, name := range names.Parts(of, part.Number, part.SHA256, job.UID) {
		object, err := r.createOrGet(ctx, held.Object(kind, job.Namespace, name))
		if err != nil {
			return "", err
		}
		err = object.VerifyPart(job, part.Record(name))
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, results.ErrEarlierRun) {
			note := fmt.Sprintf("%s %s cannot hold a part of the results (%v); it gets another name", kind, name, err)
			r.Events.TryWarn(ctx, job, "name/"+name, note)
		}
		taken = append(taken, name)
	}
	return "", &namesTakenError{names: taken}
}

// verifyParts returns nil if every part that a verified results object lists is
// there and whole, an error that wraps errPartsLost if not, and any other if
// that cannot be found out.
func (r *Reconciler) verifyParts(ctx context.Context, object *results.Object, job *batchv1.Job) error {
	list, err := object.Parts()
	if err != nil || list == nil {
		return err
	}
	for _, record := range list.Parts {
		key := types.NamespacedName{Namespace: job.Namespace, Name: record.Name}
		part := results.Empty(object.Kind)
		if err := r.Live.Get(ctx, key, part); apierrors.IsNotFound(err) {
			return fmt.Errorf("%w: part %s is not there", errPartsLost, record.Name)
		} else if err != nil {
			return fmt.Errorf("getting part %s: %w", key, r.explain(object.Kind, key.Namespace, err))
		}
		if err := results.Decode(part).VerifyPart(job, record); err != nil {
			return fmt.Errorf("%w: part %s: %w", errPartsLost, record.Name, err)
		}
	}
	return nil
}

// errPartsLost says of results that are whole themselves that a part is not.
var errPartsLost = fmt.Errorf("%w: its parts are not whole", results.ErrDamaged)
