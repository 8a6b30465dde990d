package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/trouble"
	"github.com/job-handler/job-handler/internal/why"
)

// stored is what a report needs to know of stored results.
type stored struct {
	kind    string
	name    string
	capture results.Summary
	// bytes is what they take, parts included, totals what became of the logs: of
	// results that an earlier pass stored, as this one would have stored them.
	bytes  int
	totals results.Totals
	// explanation is what explains most why the Job failed.
	explanation why.Explanation
}

// String returns kind and name.
func (s stored) String() string { return s.kind + " " + s.name }

// value returns what the capture annotation says.
func (s stored) value() string {
	if s.capture.Curable {
		return api.CaptureKeptPrefix + s.capture.Why
	}
	return s.capture.String()
}

// sizes are tried one after the other where the API server finds results too
// large: its own limits, or a webhook's, may be lower than the default.
var sizes = []int{api.MaxResultsBytes, 256 << 10, results.MinBytes}

// sizes returns the sizes to try, the largest first.
func (r *Reconciler) sizes() []int {
	most := r.Options.MaxResultsBytes
	if most == 0 {
		return sizes
	}
	smaller := slices.DeleteFunc(slices.Clone(sizes), func(size int) bool { return size >= most })
	return append([]int{most}, smaller...)
}

// storeResults builds the results of run and stores them, smaller where they
// are found too large.
func (r *Reconciler) storeResults(ctx context.Context, observed plan.Observation, run results.Run, pods []types.UID) (stored, error) {
	var err error
	r.bound(ctx, &run)
	for _, size := range r.sizes() {
		run.MaxBytes = size
		var content *results.Content
		if content, err = results.Build(run); err != nil {
			return stored{}, fmt.Errorf("building results of job %s/%s: %w", run.Job.Namespace, run.Job.Name, err)
		}
		var done stored
		done, err = r.createResults(ctx, observed, content, pods)
		if !trouble.TooLarge(err) {
			return done, err
		}
	}
	return stored{}, err
}

// createResults creates the object under the first name that is free, or finds
// it there already.
func (r *Reconciler) createResults(ctx context.Context, observed plan.Observation, content *results.Content, pods []types.UID) (stored, error) {
	job, kind := observed.Job, observed.Policy.ResultsKind
	var taken []string
	for _, name := range names.Candidates(observed.Policy.ResultsName, job.UID) {
		object, err := r.storeUnder(ctx, observed, content, name, pods)
		switch {
		case err == nil:
			return stored{
				kind: kind, name: name, capture: captureOf(object), bytes: content.AllBytes(), totals: content.Totals,
				explanation: content.Explanation,
			}, nil
		case errors.Is(err, results.ErrEarlierRun):
		case errors.Is(err, results.ErrStranger), errors.Is(err, results.ErrDamaged):
			note := fmt.Sprintf("%s %s cannot hold the results (%v); they get another name", kind, name, err)
			r.Events.TryWarn(ctx, job, "name/"+name, note)
		default:
			return stored{}, err
		}
		taken = append(taken, name)
	}
	return stored{}, &namesTakenError{names: taken}
}

// captureOf tells whether the logs that are stored are complete: an object that
// was stored in an earlier pass may hold more, or less, than could be built
// now. If it does not say, the Job stays.
func captureOf(object *results.Object) results.Summary {
	capture, err := object.Summary()
	if err != nil {
		return results.Summary{Why: err.Error(), Curable: true}
	}
	return capture
}

// storeUnder stores content, its parts first, in the object of this name, or
// finds results of this very run there, and returns what is stored.
func (r *Reconciler) storeUnder(
	ctx context.Context, observed plan.Observation, content *results.Content, name string, pods []types.UID,
) (*results.Object, error) {
	job, kind := observed.Job, observed.Policy.ResultsKind
	if len(content.Parts) > 0 {
		// Asked first, so that no parts are left behind for a name that is taken.
		object, err := r.adopt(ctx, observed, name, pods)
		if !apierrors.IsNotFound(err) && !errors.Is(err, errPartsLost) {
			return object, err
		}
		// Parts that an object lists and that were lost are stored again here.
		if err := r.storeParts(ctx, observed, content, name); err != nil {
			return nil, err
		}
	}
	wanted := content.Object(kind, job.Namespace, name)
	made, err := r.create(ctx, wanted)
	if apierrors.IsAlreadyExists(err) {
		object, err := r.adopt(ctx, observed, name, pods)
		return object, conflictIfGone(kind, name, err)
	}
	if err != nil {
		return nil, err
	}
	// What the server made of it: an admission webhook may have changed it.
	return made, made.Verify(job, pods)
}

// adopt returns the object of this name if it holds this very run, whole, with
// all its parts.
func (r *Reconciler) adopt(ctx context.Context, observed plan.Observation, name string, pods []types.UID) (*results.Object, error) {
	job, kind := observed.Job, observed.Policy.ResultsKind
	object, err := r.get(ctx, kind, types.NamespacedName{Namespace: job.Namespace, Name: name})
	if err != nil {
		return nil, err
	}
	if err := object.Verify(job, pods); err != nil {
		return nil, err
	}
	return object, r.verifyParts(ctx, object, job)
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;create

// create creates the object, and returns what the server made of it.
func (r *Reconciler) create(ctx context.Context, wanted *results.Object) (*results.Object, error) {
	stored := wanted.Encode()
	if err := r.Client.Create(ctx, stored); err != nil {
		key := client.ObjectKeyFromObject(stored)
		return nil, fmt.Errorf("creating results %s: %w", key, r.explain(wanted.Kind, key.Namespace, err))
	}
	r.Holdings.Stored(wanted.Kind, stored)
	return results.Decode(stored), nil
}

// createOrGet creates wanted, or returns what has its name already.
func (r *Reconciler) createOrGet(ctx context.Context, wanted *results.Object) (*results.Object, error) {
	object, err := r.create(ctx, wanted)
	if apierrors.IsAlreadyExists(err) {
		key := types.NamespacedName{Namespace: wanted.Namespace, Name: wanted.Name}
		object, err = r.get(ctx, wanted.Kind, key)
		err = conflictIfGone(wanted.Kind, key.Name, err)
	}
	return object, err
}

func (r *Reconciler) get(ctx context.Context, kind string, key types.NamespacedName) (*results.Object, error) {
	object := results.Empty(kind)
	if err := r.Live.Get(ctx, key, object); err != nil {
		return nil, fmt.Errorf("getting results %s: %w", key, r.explain(kind, key.Namespace, err))
	}
	return results.Decode(object), nil
}

// conflictIfGone makes a conflict of an object that had the name and went away
// meanwhile: the name is free.
func conflictIfGone(kind, name string, err error) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewConflict(corev1.Resource(strings.ToLower(kind)+"s"), name, err)
	}
	return err
}

// namesTakenError says that no name is left for the results of a run.
type namesTakenError struct{ names []string }

func (e *namesTakenError) Error() string {
	return "every name for the results is taken: " + strings.Join(e.names, ", ")
}
