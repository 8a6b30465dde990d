package job

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
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/why"
)

// deletions has what is left of pods captured that are deleted before the
// results of their Job are stored, and, where a Job wants that, the logs of its
// pods followed from their start. It is told of every change of a pod by the
// watch, in order, rather than by a queue, which would keep neither the order nor
// a pod's last state; and it waits for no other work. It runs where Jobs are
// handled, and takes up pods that are being deleted when it starts. What a Job does
// not take over soon it stores beside it, and all there is when it ends.
type deletions struct {
	*Reconciler
	informers cache.Informers
}

// Start implements manager.Runnable.
func (d *deletions) Start(ctx context.Context) error {
	d.capturing.Add(1)
	defer d.capturing.Done()
	pods, err := d.informers.GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	ctx = ctrl.LoggerInto(ctx, ctrl.Log.WithName("capture"))
	watch, err := pods.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { d.changed(ctx, nil, object) },
		UpdateFunc: func(old, object any) {
			d.noteOrphan(ctx, old, object)
			d.changed(ctx, old, object)
		},
		DeleteFunc: func(object any) { d.gone(ctx, object) },
	})
	if err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	d.spills.begin(d.Clock.Now())
	if err := d.findSpills(ctx); err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("each Job that is there already is asked for what was captured of it", "cause", err.Error())
	}
	for ctx.Err() == nil {
		d.Captures.Await(ctx, d.Spill(ctx))
	}
	err = pods.RemoveEventHandler(watch)
	d.Captures.Stop()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpills)
	defer cancel()
	d.SpillAll(last)
	if err != nil {
		return fmt.Errorf("ending the watch of pods: %w", err)
	}
	return nil
}

// AwaitCaptures waits until what was captured is stored beside its Jobs. A manager
// that ends because it lost its lease waits for nothing; to store captures is safe
// beside another leader, since their objects are created only, under numbers that
// are free. It takes lastSpills at most, and no time after a manager that has waited.
func (r *Reconciler) AwaitCaptures() { r.capturing.Wait() }

// changed takes note of a pod as it is now; old is how the watch showed it before, nil
// if it did not.
func (d *deletions) changed(ctx context.Context, old, object any) {
	now, isPod := object.(*corev1.Pod)
	if !isPod {
		return
	}
	before, _ := old.(*corev1.Pod)
	kept := why.Keep(before, now)
	pod := d.withOwner(ctx, kept)
	if pod.DeletionTimestamp != nil {
		d.capture(ctx, pod, func(job types.UID, mode string) { d.Captures.Begin(ctx, job, pod, mode != api.LogModeStatus) })
		return
	}
	if kept != now {
		d.capture(ctx, pod, func(job types.UID, _ string) { d.Captures.Remember(job, pod) })
	}
	d.follow(ctx, pod)
}

// follow has the logs of a pod followed if its Job wants that, and else, if it wants
// any, those of its containers' instances be read when they end.
func (d *deletions) follow(ctx context.Context, pod *corev1.Pod) {
	job := d.jobOf(ctx, pod)
	if job == nil {
		return
	}
	switch d.logMode(ctx, job) {
	case api.LogModeFollow:
		d.Captures.Follow(ctx, job.UID, pod)
	case api.LogModeStatus:
		return
	default:
		if !capture.MayRestart(pod) {
			return
		}
		d.Captures.Lives(ctx, job.UID, pod)
	}
	d.forgetUnlessWanted(ctx, pod, job.UID)
}

func (d *deletions) gone(ctx context.Context, object any) {
	missed, isMissed := object.(toolscache.DeletedFinalStateUnknown)
	if isMissed {
		object = missed.Obj
	}
	if pod, isPod := object.(*corev1.Pod); isPod {
		pod = d.withOwner(ctx, pod)
		if isMissed {
			pod = lastUnknown(pod)
		}
		d.capture(ctx, pod, func(job types.UID, _ string) { d.Captures.Gone(job, pod) })
	}
}

// lastUnknown returns a pod of which the watch missed the last states: one that had not
// ended may have started meanwhile.
func lastUnknown(pod *corev1.Pod) *corev1.Pod {
	if ended(pod) {
		return pod
	}
	pod = pod.DeepCopy()
	pod.Status.Phase = corev1.PodUnknown
	return pod
}

// capture has take note of a pod if somebody will want to know of it: a Job that
// is opted in, and that is neither stored nor deleted before it finished.
func (d *deletions) capture(ctx context.Context, pod *corev1.Pod, take func(job types.UID, mode string)) {
	job := d.jobOf(ctx, pod)
	if job == nil {
		return
	}
	take(job.UID, d.logMode(ctx, job))
	ctrl.LoggerFrom(ctx).V(1).Info("pod is deleted before its job is stored", "namespace", pod.Namespace, "job", job.Name, "pod", pod.Name)
	d.forgetUnlessWanted(ctx, pod, job.UID)
}

// forgetUnlessWanted is for a Job that goes away while note is taken of its pod,
// and has nobody forget what is kept for it.
func (d *deletions) forgetUnlessWanted(ctx context.Context, pod *corev1.Pod, job types.UID) {
	if d.jobOf(ctx, pod) == nil {
		d.Captures.Forget(job)
	}
}

// jobOf returns the Job that wants to know of pod, nil if there is none.
func (r *Reconciler) jobOf(ctx context.Context, pod *corev1.Pod) *batchv1.Job {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil || owner.Kind != "Job" || r.excluded(pod.Namespace) {
		return nil
	}
	job := &batchv1.Job{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: owner.Name}, job)
	if err != nil || job.UID != owner.UID {
		return nil
	}
	finished := jobstatus.Of(job).Finished()
	switch {
	case !finished && job.DeletionTimestamp != nil, finished && plan.Stored(job) && !r.runs.knownUnstored(job):
		return nil
	default:
		return job
	}
}

// logMode returns how much of the logs of the Job is to be read; full where its
// Namespace cannot be asked.
func (d *deletions) logMode(ctx context.Context, job *batchv1.Job) string {
	namespace, err := d.namespaceOf(ctx, job)
	if err != nil {
		return api.LogModeFull
	}
	wanted, _ := policy.Resolve(job, namespace.Annotations, d.Options.Defaults)
	return wanted.LogMode
}
