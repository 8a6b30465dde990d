package podlogs

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

// loader reads back what was saved of captures.
type loader struct{ *Keeper }

// load returns what was saved of captures of the Job; nil if there is nothing,
// or was nothing to be asked for. Objects that are somebody else's, or not whole,
// are passed over, with a Warning.
func (l loader) load(ctx context.Context, run *results.Run, kind string) (*capture.Restored, error) {
	job := run.Job
	if !l.mayBeSaved(job, kind, run.Objects()) {
		return nil, nil
	}
	end, ok := l.loading.begin(job.Namespace)
	if !ok {
		return nil, ErrBusy
	}
	defer end()
	restored := l.Captures.Restore(job.Namespace, job.UID)
	for kind, known := range l.saved.kinds(job.UID, kind) {
		if err := l.loadKind(ctx, job, kind, known, restored); err != nil {
			restored.Release()
			return nil, err
		}
	}
	return restored, nil
}

// mayBeSaved reports whether captures of the Job, of which these pods were
// found, may be stored and nowhere else: in this process they are given up for
// others, an earlier one may have left them, and where pods are missing anything
// may be. Of a Job that lost no pod, and was seen from its start, they are not; nor of
// one of which nothing was found when this process began, unless a pod of it was seen
// deleted since: an earlier process may have sent its last one as it ended.
func (k *Keeper) mayBeSaved(job *batchv1.Job, kind string, pods []*corev1.Pod) bool {
	switch {
	case k.Captures == nil:
		return false
	case k.Captures.OnlyStored(job.UID), !plan.MissingPods(job, k.Known(job, pods)).None():
		return true
	case k.saved.sawStart(job.CreationTimestamp.Time):
		return false
	default:
		return k.saved.mayBeEarlier(job.UID, kind) || len(k.Captures.Pods(job.UID)) > 0
	}
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=list

// findSaved looks once of which Jobs an earlier process stored captures, so that
// not each Job that is there already has to be asked for. Where that fails they are.
// Secrets are not listed: where they are wanted, each is asked for.
func (k *Keeper) findSaved(ctx context.Context) error {
	found := sets.Set[types.UID]{}
	query := pager.Query{List: pager.Metadata(corev1.SchemeGroupVersion.WithKind("ConfigMap")), Prune: func(object client.Object) {
		object.SetLabels(map[string]string{api.CaptureOfLabel: object.GetLabels()[api.CaptureOfLabel]})
		object.SetAnnotations(nil)
		object.SetManagedFields(nil)
	}}
	client.HasLabels{api.CaptureOfLabel}.ApplyToList(&query.Options)
	err := k.lister().Each(ctx, query, func(object client.Object) error {
		if found.Insert(types.UID(object.GetLabels()[api.CaptureOfLabel])); len(found) > mostEarlier {
			return errTooMany
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing captured logs: %w", err)
	}
	k.saved.found(found)
	return nil
}

// mostEarlier is of how many Jobs it is remembered that an earlier process stored
// captures of them.
const mostEarlier = 100_000

var errTooMany = errors.New("there are too many to remember")

// loadKind adds what objects of a kind have, of which at least known are there.
// They are numbered without a gap, so that the first that is not there ends them,
// and nobody needs to list.
func (l loader) loadKind(ctx context.Context, job *batchv1.Job, kind string, known int, to *capture.Restored) error {
	for number := range maxObjects {
		key := objectKey(job, number)
		if why := l.refused.of(job.UID, kind, number); why != nil {
			l.warnOfObject(ctx, job, kind, key, why)
			continue
		}
		object, err := l.Store.Get(ctx, kind, key)
		if apierrors.IsNotFound(err) {
			if number < known {
				continue
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("loading captures: %w", err)
		}
		values, err := object.Captures(job)
		if err == nil {
			l.saved.holds(job.UID, kind, object)
			err = to.Add(values)
		}
		if err := l.judge(ctx, job, kind, number, err); err != nil {
			return err
		}
	}
	return nil
}

// judge tells of an object that is not taken for captures of the Job, and
// remembers one that never will be. It returns the error if there is none to blame.
func (l loader) judge(ctx context.Context, job *batchv1.Job, kind string, number int, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, capture.ErrMemory):
		return ErrBusy
	case !errors.Is(err, capture.ErrTooMuch):
		l.refused.add(job.UID, kind, number, err)
	}
	l.warnOfObject(ctx, job, kind, objectKey(job, number), err)
	return nil
}

func (l loader) warnOfObject(ctx context.Context, job *batchv1.Job, kind string, key types.NamespacedName, err error) {
	l.Events.TryWarn(ctx, job, "capture/"+key.Name, fmt.Sprintf("%s %s is ignored, it does not hold logs of deleted pods of this Job: %v", kind, key.Name, err))
}
