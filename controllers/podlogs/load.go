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
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/resultstore"
)

// loader reads saved captures.
type loader struct {
	captures *capture.Captures
	store    *resultstore.Store
	events   *events.Recorder
	saved    *saved
	refused  *refused
	loading  *loading
}

func (k *Keeper) loader() loader {
	return loader{
		captures: k.Captures, store: k.Store, events: k.Events,
		saved: &k.saved, refused: &k.refused, loading: &k.loading,
	}
}

// load returns the saved captures of the Job. It ignores objects that are not the
// manager's, or damaged, and sends a Warning about them.
func (l loader) load(ctx context.Context, job *batchv1.Job, kind string) (*capture.Restored, error) {
	end, ok := l.loading.begin(job.Namespace)
	if !ok {
		return nil, ErrBusy
	}
	defer end()
	restored := l.captures.Restore(job.Namespace, job.UID)
	for kind, known := range l.saved.kinds(job.UID, kind) {
		if err := l.loadKind(ctx, job, kind, known, restored); err != nil {
			restored.Release()
			return nil, err
		}
	}
	return restored, nil
}

// mayBeSaved reports whether captures of the Job may be saved that memory does not have.
// pods are the Job's pods that were found. That may be so if this process dropped them
// from memory, if pods are missing, or if an earlier process saved some. It is not so for
// a Job that lost no pod and was watched from its start, nor for a Job that had no saved
// captures when this process began. The exception is a Job that has lost a pod since: an
// earlier process may have saved captures while it ended.
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

// findSaved lists the Jobs with captures that an earlier process saved in ConfigMaps, so
// that load need not look for captures of each existing Job. If it fails, load does. It
// does not list Secrets: load looks for those of each Job.
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

// mostEarlier bounds the Jobs that are remembered as having captures of an earlier process.
const mostEarlier = 100_000

var errTooMany = errors.New("there are too many to remember")

// loadKind adds the captures in objects of a kind. At least known of them exist. They are
// numbered without a gap, so it needs no list: it stops at the first that is missing.
func (l loader) loadKind(ctx context.Context, job *batchv1.Job, kind string, known int, to *capture.Restored) error {
	for number := range maxObjects {
		key := objectKey(job, number)
		if why := l.refused.of(job.UID, kind, number); why != nil {
			l.warnOfObject(ctx, job, kind, key, why)
			continue
		}
		object, err := l.store.Get(ctx, kind, key)
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

// judge warns about an object that does not hold valid captures of the Job, and remembers
// it if that can never change. It returns an error that is not the object's fault.
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
	l.events.TryWarn(ctx, job, "capture/"+key.Name, fmt.Sprintf("%s %s is ignored, it does not hold logs of deleted pods of this Job: %v", kind, key.Name, err))
}
