package podlogs

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/why"
)

// watch captures pods that are deleted before the results of their Job are stored, and
// follows logs from their start for Jobs with log-mode follow. Every change of a pod
// calls it, in order. A queue would keep neither the order nor a pod's last state. It
// runs where Jobs are handled, and waits for no other work. At the start it captures the
// pods that are being deleted. It saves captures beside a Job that does not finish soon,
// and all captures when it ends.
type watch struct {
	*Keeper
	informers cache.Informers
}

// Start implements manager.Runnable.
func (w *watch) Start(ctx context.Context) error {
	w.watching.Add(1)
	defer w.watching.Done()
	pods, err := w.informers.GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	ctx = ctrl.LoggerInto(ctx, ctrl.Log.WithName("capture"))
	watch, err := pods.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { w.changed(ctx, nil, object) },
		UpdateFunc: func(old, object any) {
			w.noteOrphan(ctx, old, object)
			w.changed(ctx, old, object)
		},
		DeleteFunc: func(object any) { w.gone(ctx, object) },
	})
	if err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	w.saved.begin(w.Clock.Now())
	if err := w.findSaved(ctx); err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("captures of existing Jobs are looked up one by one", "cause", err.Error())
	}
	for ctx.Err() == nil {
		w.Captures.Await(ctx, w.Save(ctx))
	}
	err = pods.RemoveEventHandler(watch)
	w.Captures.Stop()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSaves)
	defer cancel()
	w.SaveAll(last)
	if err != nil {
		return fmt.Errorf("ending the watch of pods: %w", err)
	}
	return nil
}

// changed captures or follows a pod as it is now. old is the state that the watch showed
// before, nil for a new pod.
func (w *watch) changed(ctx context.Context, old, object any) {
	now, isPod := object.(*corev1.Pod)
	if !isPod {
		return
	}
	before, _ := old.(*corev1.Pod)
	kept := why.Keep(before, now)
	pod := w.withOwner(ctx, kept)
	if pod.DeletionTimestamp != nil {
		w.capture(ctx, pod, func(job types.UID, mode string) { w.Captures.Begin(ctx, job, pod, mode != api.LogModeStatus) })
		return
	}
	if kept != now {
		w.capture(ctx, pod, func(job types.UID, _ string) { w.Captures.Remember(job, pod) })
	}
	w.follow(ctx, pod)
}

// follow starts to follow the logs of a pod if its Job wants that. For other Jobs that
// want logs it arranges that the log of each container instance is read when it ends.
func (w *watch) follow(ctx context.Context, pod *corev1.Pod) {
	job := w.jobs().of(ctx, pod)
	if job == nil {
		return
	}
	switch w.logMode(ctx, job) {
	case api.LogModeFollow:
		w.Captures.Follow(ctx, job.UID, pod)
	case api.LogModeStatus:
		return
	default:
		if !capture.MayRestart(pod) {
			return
		}
		w.Captures.Lives(ctx, job.UID, pod)
	}
	w.forgetUnlessWanted(ctx, pod, job.UID)
}

func (w *watch) gone(ctx context.Context, object any) {
	missed, isMissed := object.(toolscache.DeletedFinalStateUnknown)
	if isMissed {
		object = missed.Obj
	}
	if pod, isPod := object.(*corev1.Pod); isPod {
		pod = w.withOwner(ctx, pod)
		if isMissed {
			pod = lastUnknown(pod)
		}
		w.capture(ctx, pod, func(job types.UID, _ string) { w.Captures.Gone(job, pod) })
	}
}

// lastUnknown returns a pod whose last states the watch missed. If it had not ended, its
// phase is unknown: it may have started meanwhile.
func lastUnknown(pod *corev1.Pod) *corev1.Pod {
	if jobstatus.PodEnded(pod) {
		return pod
	}
	pod = pod.DeepCopy()
	pod.Status.Phase = corev1.PodUnknown
	return pod
}

// capture calls take for a pod whose Job still needs it: see jobs.of.
func (w *watch) capture(ctx context.Context, pod *corev1.Pod, take func(job types.UID, mode string)) {
	job := w.jobs().of(ctx, pod)
	if job == nil {
		return
	}
	take(job.UID, w.logMode(ctx, job))
	ctrl.LoggerFrom(ctx).V(1).Info("pod deleted before the results of its job are stored", "namespace", pod.Namespace, "job", job.Name, "pod", pod.Name)
	w.forgetUnlessWanted(ctx, pod, job.UID)
}

// forgetUnlessWanted drops the captures of a Job that disappeared while its pod was
// captured: no later event would drop them.
func (w *watch) forgetUnlessWanted(ctx context.Context, pod *corev1.Pod, job types.UID) {
	if w.jobs().of(ctx, pod) == nil {
		w.Captures.Forget(job)
	}
}

// logMode returns the log mode that the Job wants, full if its Namespace cannot be read.
func (w *watch) logMode(ctx context.Context, job *batchv1.Job) string {
	wanted, err := w.jobs().policy(ctx, job)
	if err != nil {
		return api.LogModeFull
	}
	return wanted.LogMode
}
