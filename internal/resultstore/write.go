package resultstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/why"
)

// Writer stores the results of Jobs. All of it may be done again after an error
// anywhere: what is stored already is found and adopted.
type Writer struct {
	Store *Store
	// MaxBytes bounds what is stored of one Job, parts included; 0 means
	// api.MaxResultsBytes.
	MaxBytes int
	// Warn sends a Warning about the Job, of this class, if that is possible.
	Warn func(ctx context.Context, about client.Object, class, note string)
}

// Target says where the results of a run are to be stored.
type Target struct {
	// Kind is one of the values of api.ResultsKindAnnotation.
	Kind string
	// Name is the name to try first.
	Name string
	// Pods are those that results which are there already have to be about.
	Pods []types.UID
}

// Stored tells of results that are stored.
type Stored struct {
	Kind, Name string
	// Capture tells whether the logs that are stored are complete.
	Capture results.Summary
	// Bytes is what they take, parts included, Totals what became of the logs: of
	// results that an earlier pass stored, as this one would have stored them.
	Bytes  int
	Totals results.Totals
	// Explanation is what explains most why the Job failed.
	Explanation why.Explanation
}

// String returns kind and name.
func (s *Stored) String() string { return s.Kind + " " + s.Name }

// CaptureValue returns the value of the capture annotation.
func (s *Stored) CaptureValue() string {
	if s.Capture.Retryable {
		return api.CaptureKeptPrefix + s.Capture.Why
	}
	return s.Capture.String()
}

// NameConflictError says that other objects use every name for the results of a run.
type NameConflictError struct{ Names []string }

// Error implements error.
func (e *NameConflictError) Error() string {
	return "every name for the results is taken: " + strings.Join(e.Names, ", ")
}

// sizes are tried one after the other where the API server finds results too
// large: its own limits, or a webhook's, may be lower than the default.
var sizes = []int{api.MaxResultsBytes, 256 << 10, results.MinBytes}

// Most returns how many bytes are stored of one Job at most.
func (w *Writer) Most() int { return cmp.Or(w.MaxBytes, api.MaxResultsBytes) }

// Smaller returns the size to try where the API server found this one too large, and
// whether there is one.
func Smaller(size int) (next int, ok bool) {
	i := slices.IndexFunc(sizes, func(s int) bool { return s < size })
	if i < 0 {
		return 0, false
	}
	return sizes[i], true
}

// Write builds the results of run and stores them, smaller where they are found too
// large, and with short logs where results take more than they may.
func (w *Writer) Write(ctx context.Context, run results.Run, to Target) (*Stored, error) {
	w.bound(ctx, &run)
	run.MaxBytes = w.Most()
	for {
		content, err := results.Build(run)
		if err != nil {
			return nil, fmt.Errorf("building results of job %s/%s: %w", run.Job.Namespace, run.Job.Name, err)
		}
		stored, err := w.write(ctx, run.Job, content, to)
		if !apierr.TooLarge(err) {
			return stored, err
		}
		smaller, ok := Smaller(run.MaxBytes)
		if !ok {
			return nil, err
		}
		run.MaxBytes = smaller
	}
}

// write stores content under the first name that is free, or finds it there already.
func (w *Writer) write(ctx context.Context, job *batchv1.Job, content *results.Content, to Target) (*Stored, error) {
	var taken []string
	for _, name := range names.Candidates(to.Name, job.UID) {
		object, err := w.writeTo(ctx, job, content, Target{Kind: to.Kind, Name: name, Pods: to.Pods})
		switch {
		case err == nil:
			return &Stored{
				Kind: to.Kind, Name: name, Capture: captureOf(object), Bytes: content.AllBytes(), Totals: content.Totals,
				Explanation: content.Explanation,
			}, nil
		case errors.Is(err, results.ErrEarlierRun):
		case errors.Is(err, results.ErrStranger), errors.Is(err, results.ErrDamaged):
			note := fmt.Sprintf("%s %s cannot hold the results (%v); they get another name", to.Kind, name, err)
			w.Warn(ctx, job, "name/"+name, note)
		default:
			return nil, err
		}
		taken = append(taken, name)
	}
	return nil, &NameConflictError{Names: taken}
}

// captureOf tells whether the logs that are stored are complete: an object that
// was stored in an earlier pass may hold more, or less, than could be built
// now. If it does not say, the Job stays.
func captureOf(object *results.Object) results.Summary {
	capture, err := object.Summary()
	if err != nil {
		return results.Summary{Why: err.Error(), Retryable: true}
	}
	return capture
}

// writeTo stores content, its parts first, in the object that to names, or finds
// results of this very run there, and returns what is stored.
func (w *Writer) writeTo(ctx context.Context, job *batchv1.Job, content *results.Content, to Target) (*results.Object, error) {
	if len(content.Parts) > 0 {
		// Asked first, so that no parts are left behind for a name that is taken.
		object, err := w.adopt(ctx, job, to)
		if !apierrors.IsNotFound(err) && !errors.Is(err, errPartsLost) {
			return object, err
		}
		// Parts that an object lists and that were lost are stored again here.
		if err := w.writeParts(ctx, job, content, to); err != nil {
			return nil, err
		}
	}
	made, err := w.Store.Create(ctx, content.Object(to.Kind, job.Namespace, to.Name))
	if apierrors.IsAlreadyExists(err) {
		object, err := w.adopt(ctx, job, to)
		return object, ConflictIfGone(to.Kind, to.Name, err)
	}
	if err != nil {
		return nil, err
	}
	err = made.Verify(job, to.Pods)
	return made, err
}

// adopt returns the object that to names if it holds this very run, whole, with all
// its parts.
func (w *Writer) adopt(ctx context.Context, job *batchv1.Job, to Target) (*results.Object, error) {
	return w.Store.whole(ctx, job, to.Kind, to.Name, to.Pods)
}

// writeParts stores the parts of content, and lists them in it. Parts are named by
// what they hold: those that a pass before this one stored are found, and those of
// another build are left, since nothing lists them. The results object comes last;
// until then nothing counts as stored.
func (w *Writer) writeParts(ctx context.Context, job *batchv1.Job, content *results.Content, to Target) error {
	stored := make([]string, 0, len(content.Parts))
	for _, part := range content.Parts {
		name, err := w.writePart(ctx, job, content, part, to)
		if err != nil {
			return err
		}
		stored = append(stored, name)
	}
	return content.ListParts(stored)
}

// writePart creates the object of a part under the first name that is free, or
// finds it there, and returns its name.
func (w *Writer) writePart(ctx context.Context, job *batchv1.Job, content *results.Content, part results.Part, of Target) (string, error) {
	held := content.PartContent(part, of.Name)
	var taken []string
	for _, name := range names.Parts(of.Name, part.Number, part.SHA256, job.UID) {
		object, err := w.Store.CreateOrGet(ctx, held.Object(of.Kind, job.Namespace, name))
		if err != nil {
			return "", err
		}
		err = object.VerifyPart(job, part.Record(name))
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, results.ErrEarlierRun) {
			note := fmt.Sprintf("%s %s cannot hold a part of the results (%v); it gets another name", of.Kind, name, err)
			w.Warn(ctx, job, "name/"+name, note)
		}
		taken = append(taken, name)
	}
	return "", &NameConflictError{Names: taken}
}
