package podlogs

import (
	"context"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/plan"
)

// orphans remembers pods whose owner reference to their Job the garbage collector
// removed, until the Job is forgotten. That happens if a Job is deleted with the
// propagation policy Orphan while our finalizer keeps it. The zero value is ready.
type orphans struct {
	mu    sync.Mutex
	byJob map[types.UID]sets.Set[types.UID]
	byPod map[types.UID]metav1.OwnerReference
}

func (o *orphans) note(pod types.UID, owner metav1.OwnerReference) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byPod == nil {
		o.byPod, o.byJob = map[types.UID]metav1.OwnerReference{}, map[types.UID]sets.Set[types.UID]{}
	}
	if o.byJob[owner.UID] == nil {
		o.byJob[owner.UID] = sets.Set[types.UID]{}
	}
	o.byJob[owner.UID].Insert(pod)
	o.byPod[pod] = owner
}

// has reports whether the pod was seen under the control of this Job.
func (o *orphans) has(job, pod types.UID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byPod[pod].UID == job
}

// owner returns the Job that controlled the pod; the zero value if none did.
func (o *orphans) owner(pod types.UID) metav1.OwnerReference {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byPod[pod]
}

func (o *orphans) forget(job types.UID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for pod := range o.byJob[job] {
		delete(o.byPod, pod)
	}
	delete(o.byJob, job)
}

// noteOrphan remembers a pod that loses its owner reference to a Job that still needs it.
func (w *watch) noteOrphan(ctx context.Context, before, now any) {
	old, isPod := before.(*corev1.Pod)
	pod, arePods := now.(*corev1.Pod)
	if !isPod || !arePods || old.UID != pod.UID || metav1.GetControllerOfNoCopy(pod) != nil || w.jobs().of(ctx, old) == nil {
		return
	}
	owner := metav1.GetControllerOfNoCopy(old)
	w.orphans.note(pod.UID, *owner)
	if w.jobs().of(ctx, old) == nil {
		w.orphans.forget(owner.UID)
	}
}

// withOwner restores the owner reference that the garbage collector removed from the pod.
// It returns any other pod unchanged.
func (w *watch) withOwner(ctx context.Context, pod *corev1.Pod) *corev1.Pod {
	if metav1.GetControllerOfNoCopy(pod) != nil || w.excluded(pod.Namespace) {
		return pod
	}
	owner := w.orphans.owner(pod.UID)
	known := owner.UID != ""
	if !known {
		owner.Name, owner.UID = pod.Labels[batchv1.JobNameLabel], types.UID(pod.Labels[batchv1.ControllerUidLabel])
	}
	if owner.Name == "" || owner.UID == "" {
		return pod
	}
	job := &batchv1.Job{}
	err := w.Client.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: owner.Name}, job)
	if err != nil || job.UID != owner.UID || !plan.Owns(job, pod, known) {
		return pod
	}
	pod = pod.DeepCopy()
	pod.OwnerReferences = append(pod.OwnerReferences, *metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job")))
	return pod
}
