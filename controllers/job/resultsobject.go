package job

import (
	"context"
	"errors"
	"fmt"
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
)

// stored is what a report needs to know of stored results.
type stored struct {
	kind    string
	name    string
	capture results.Summary
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

// storeResults builds the results of run and stores them, smaller where they
// are found too large.
func (r *Reconciler) storeResults(ctx context.Context, observed plan.Observation, run results.Run, pods []types.UID) (stored, error) {
	var err error
	for _, size := range sizes {
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
		object, err := r.createOrAdopt(ctx, observed, newResults(kind, content, job.Namespace, name), pods)
		switch {
		case err == nil:
			return stored{kind: kind, name: name, capture: captureOf(object)}, nil
		case errors.Is(err, results.ErrEarlierRun):
		case errors.Is(err, results.ErrStranger), errors.Is(err, results.ErrDamaged):
			note := fmt.Sprintf("%s %s cannot hold the results (%v); they get another name", kind, name, err)
			r.warn(ctx, job, "name/"+name, note)
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
func captureOf(object client.Object) results.Summary {
	capture, err := results.CaptureOf(contentOf(object))
	if err != nil {
		return results.Summary{Why: err.Error(), Curable: true}
	}
	return capture
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;create

// createOrAdopt creates wanted, or verifies that what has its name holds this
// very run, and returns what is stored. What the server made of wanted is
// verified too: an admission webhook may have changed it.
func (r *Reconciler) createOrAdopt(ctx context.Context, observed plan.Observation, wanted client.Object, pods []types.UID) (client.Object, error) {
	key, kind := client.ObjectKeyFromObject(wanted), observed.Policy.ResultsKind
	err := r.Client.Create(ctx, wanted)
	if apierrors.IsAlreadyExists(err) {
		wanted, err = r.existing(ctx, kind, key)
	}
	if err != nil {
		return nil, fmt.Errorf("creating results %s: %w", key, explain(kind, key.Namespace, err))
	}
	return wanted, verify(wanted, observed.Job, pods)
}

// existing returns the object that has the name. One that went away meanwhile
// is a conflict: the name is free.
func (r *Reconciler) existing(ctx context.Context, kind string, key types.NamespacedName) (client.Object, error) {
	object := emptyResults(kind)
	err := r.Live.Get(ctx, key, object)
	if apierrors.IsNotFound(err) {
		return nil, apierrors.NewConflict(corev1.Resource(strings.ToLower(kind)+"s"), key.Name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("getting what has its name: %w", err)
	}
	return object, nil
}

// namesTakenError says that no name is left for the results of a run.
type namesTakenError struct{ names []string }

func (e *namesTakenError) Error() string {
	return "every name for the results is taken: " + strings.Join(e.names, ", ")
}
