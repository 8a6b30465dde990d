package job

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/results"
)

// restore returns what was stored of captures of the Job; nil if there is nothing,
// or was nothing to be asked for. Objects that are somebody else's, or not whole,
// are passed over, with a Warning.
func (r *Reconciler) restore(ctx context.Context, run *results.Run, kind string) (*capture.Restored, error) {
	job := run.Job
	if !r.mayHaveSpilled(job, kind, podsOf(run)) {
		return nil, nil //nolint:nilnil // of most Jobs nothing was stored
	}
	end, ok := r.restoring.begin(job.Namespace)
	if !ok {
		return nil, errRestoring
	}
	defer end()
	restored := r.Captures.Restore(job.Namespace, job.UID)
	for kind, known := range r.spills.kinds(job.UID, kind) {
		if err := r.restoreKind(ctx, job, kind, known, restored); err != nil {
			restored.Release()
			return nil, err
		}
	}
	return restored, nil
}

// mayHaveSpilled reports whether captures of the Job, of which these pods were
// found, may be stored and nowhere else: in this process they are given up for
// others, an earlier one may have left them, and where pods are missing anything
// may be. Of a Job that lost no pod, and was seen from its start, they are not; nor of
// one of which nothing was found when this process began, unless a pod of it was seen
// deleted since: an earlier process may have sent its last one as it ended.
func (r *Reconciler) mayHaveSpilled(job *batchv1.Job, kind string, pods []*corev1.Pod) bool {
	switch {
	case r.Captures == nil:
		return false
	case r.Captures.OnlyStored(job.UID), !plan.MissingPods(job, r.known(job, pods)).None():
		return true
	case r.spills.sawStart(job.CreationTimestamp.Time):
		return false
	default:
		return r.spills.mayBeEarlier(job.UID, kind) || len(r.Captures.Pods(job.UID)) > 0
	}
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=list

// findSpills looks once of which Jobs an earlier process stored captures, so that
// not each Job that is there already has to be asked for. Where that fails they are.
// Secrets are not listed: where they are wanted, each is asked for.
func (r *Reconciler) findSpills(ctx context.Context) error {
	found := sets.Set[types.UID]{}
	query := pager.Query{List: pager.Metadata(corev1.SchemeGroupVersion.WithKind("ConfigMap")), Prune: func(object client.Object) {
		object.SetLabels(map[string]string{api.CaptureOfLabel: object.GetLabels()[api.CaptureOfLabel]})
		object.SetAnnotations(nil)
		object.SetManagedFields(nil)
	}}
	client.HasLabels{api.CaptureOfLabel}.ApplyToList(&query.Options)
	err := r.lister().Each(ctx, query, func(object client.Object) error {
		if found.Insert(types.UID(object.GetLabels()[api.CaptureOfLabel])); len(found) > mostEarlier {
			return errTooManySpills
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing captured logs: %w", err)
	}
	r.spills.found(found)
	return nil
}

// mostEarlier is of how many Jobs it is remembered that an earlier process stored
// captures of them.
const mostEarlier = 100_000

var errTooManySpills = errors.New("there are more than can be remembered")

// restoreKind adds what objects of a kind have, of which at least known are there.
// They are numbered without a gap, so that the first that is not there ends them,
// and nobody needs to list.
func (r *Reconciler) restoreKind(ctx context.Context, job *batchv1.Job, kind string, known int, to *capture.Restored) error {
	for number := range maxSpills {
		key := spillKey(job, number)
		if why := r.poison.of(job.UID, kind, number); why != nil {
			r.warnSpill(ctx, job, kind, key, why)
			continue
		}
		object := emptyResults(kind)
		err := r.Live.Get(ctx, key, object)
		if apierrors.IsNotFound(err) {
			if number < known {
				continue
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("getting captured logs %s: %w", key, r.explain(kind, key.Namespace, err))
		}
		values, err := spillValues(object, job)
		if err == nil {
			r.spills.holds(job.UID, kind, object)
			err = to.Add(values)
		}
		if err := r.judgeSpill(ctx, job, kind, number, err); err != nil {
			return err
		}
	}
	return nil
}

// judgeSpill tells of an object that is not taken for captures of the Job, and
// remembers one that never will be. It returns the error if there is none to blame.
func (r *Reconciler) judgeSpill(ctx context.Context, job *batchv1.Job, kind string, number int, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, capture.ErrMemory):
		return errRestoring
	case !errors.Is(err, capture.ErrTooMuch):
		r.poison.add(job.UID, kind, number, err)
	}
	r.warnSpill(ctx, job, kind, spillKey(job, number), err)
	return nil
}

func (r *Reconciler) warnSpill(ctx context.Context, job *batchv1.Job, kind string, key types.NamespacedName, err error) {
	r.warn(ctx, job, "capture/"+key.Name, fmt.Sprintf("%s %s is not taken for logs of deleted pods of this Job: %v", kind, key.Name, err))
}
