package podlogs

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/lookup"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/why"
)

// watch takes note of pods that are deleted before the results of their Job are stored,
// and, where a Job wants that, of pods whose logs are to be followed from their start. It
// is called for every change of a pod, in order, rather than by a queue, which would keep
// neither the order nor a pod's last state; and it waits for no other work. It runs where
// Jobs are handled, and takes up pods that are being deleted when it starts. What a Job
// does not take over soon it saves beside the Job, and everything when it ends.
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

// changed takes note of a pod as it is now; old is how the watch showed it before, nil
// if it did not.
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

// follow has the logs of a pod followed if its Job wants that, and else, if it wants
// any, those of its containers' instances be read when they end.
func (w *watch) follow(ctx context.Context, pod *corev1.Pod) {
	job := w.jobOf(ctx, pod)
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

// lastUnknown returns a pod of which the watch missed the last states: one that had not
// ended may have started meanwhile.
func lastUnknown(pod *corev1.Pod) *corev1.Pod {
	if jobstatus.PodEnded(pod) {
		return pod
	}
	pod = pod.DeepCopy()
	pod.Status.Phase = corev1.PodUnknown
	return pod
}

// capture has take note of a pod if somebody will want to know of it: a Job that
// is opted in, and that is neither stored nor deleted before it finished.
func (w *watch) capture(ctx context.Context, pod *corev1.Pod, take func(job types.UID, mode string)) {
	job := w.jobOf(ctx, pod)
	if job == nil {
		return
	}
	take(job.UID, w.logMode(ctx, job))
	ctrl.LoggerFrom(ctx).V(1).Info("pod deleted before the results of its job are stored", "namespace", pod.Namespace, "job", job.Name, "pod", pod.Name)
	w.forgetUnlessWanted(ctx, pod, job.UID)
}

// forgetUnlessWanted is for a Job that goes away while note is taken of its pod,
// and has nobody forget what is kept for it.
func (w *watch) forgetUnlessWanted(ctx context.Context, pod *corev1.Pod, job types.UID) {
	if w.jobOf(ctx, pod) == nil {
		w.Captures.Forget(job)
	}
}

// jobOf returns the Job that wants to know of pod, nil if there is none.
func (k *Keeper) jobOf(ctx context.Context, pod *corev1.Pod) *batchv1.Job {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil || owner.Kind != "Job" || k.excluded(pod.Namespace) {
		return nil
	}
	job := &batchv1.Job{}
	err := k.Client.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: owner.Name}, job)
	if err != nil || job.UID != owner.UID {
		return nil
	}
	finished := jobstatus.Of(job).Finished()
	switch {
	case !finished && job.DeletionTimestamp != nil, finished && plan.Stored(job) && !k.Ledger.Unstored(job):
		return nil
	default:
		return job
	}
}

// logMode returns how much of the logs of the Job is to be read; full where its
// Namespace cannot be read.
func (w *watch) logMode(ctx context.Context, job *batchv1.Job) string {
	wanted, err := w.policyOf(ctx, job)
	if err != nil {
		return api.LogModeFull
	}
	return wanted.LogMode
}

// policyOf returns what is wanted for the Job.
func (k *Keeper) policyOf(ctx context.Context, job *batchv1.Job) (policy.Policy, error) {
	namespace, err := lookup.Namespace(ctx, k.Client, job.Namespace)
	if err != nil {
		return policy.Policy{}, err
	}
	wanted, _ := policy.Resolve(job, namespace.Annotations, k.Options.Defaults)
	return wanted, nil
}
