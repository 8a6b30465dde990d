package job

import (
	"slices"
	"unique"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

// prune returns a transform that applies f to objects of type T before they
// enter the cache.
func prune[T client.Object](f func(T)) cache.TransformFunc {
	return func(object any) (any, error) {
		if typed, ok := object.(T); ok {
			f(typed)
		}
		return object, nil
	}
}

// pruneJob drops what nobody looks at, above all the pod template, of which the
// label alone stays that opts its pods in, and that only while it can be changed; and
// the selector, where the Job's UID tells it: see selectorOf.
func pruneJob(job *batchv1.Job) {
	managers := policy.KeepManagers(job.ManagedFields)
	pruneMeta(&job.ObjectMeta)
	job.ManagedFields = managers
	delete(job.Annotations, corev1.LastAppliedConfigAnnotation)
	var labels map[string]string
	if value, labelled := job.Spec.Template.Labels[api.EnabledLabel]; labelled && plan.TemplateMutable(job) {
		labels = map[string]string{api.EnabledLabel: value}
	}
	job.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}}
	job.Spec.SuccessPolicy = nil
	if !plan.Ignores(job) {
		job.Spec.PodFailurePolicy = nil
	}
	if equality.Semantic.DeepEqual(job.Spec.Selector, generatedSelector(job)) {
		job.Spec.Selector = nil
	}
}

// generatedSelector is what the API server makes where a Job has no selector of its
// own.
func generatedSelector(job *batchv1.Job) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{batchv1.ControllerUidLabel: string(job.UID)}}
}

// selectorOf returns the selector of a Job that may have been pruned.
func selectorOf(job *batchv1.Job) *metav1.LabelSelector {
	if job.Spec.Selector == nil {
		return generatedSelector(job)
	}
	return job.Spec.Selector
}

// prunePod drops what results do not tell: volumes, environments, probes, addresses
// and the like.
func prunePod(pod *corev1.Pod) {
	pruneMeta(&pod.ObjectMeta)
	index, indexed := pod.Annotations[batchv1.JobCompletionIndexAnnotation]
	pod.Labels, pod.Annotations = orphanLabels(pod), nil
	if indexed {
		pod.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: index}
	}
	spec := corev1.PodSpec{NodeName: shared(pod.Spec.NodeName), RestartPolicy: pod.Spec.RestartPolicy}
	spec.InitContainers = pruneContainers(pod.Spec.InitContainers)
	spec.Containers = pruneContainers(pod.Spec.Containers)
	for _, container := range pod.Spec.EphemeralContainers {
		spec.EphemeralContainers = append(spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: shared(container.Name), Image: shared(container.Image)},
		})
	}
	pod.Spec = spec
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodPhase(shared(string(pod.Status.Phase))), Reason: pod.Status.Reason, Message: pod.Status.Message,
		Conditions:                 pruneConditions(pod.Status.Conditions),
		InitContainerStatuses:      pruneStatuses(pod.Status.InitContainerStatuses),
		ContainerStatuses:          pruneStatuses(pod.Status.ContainerStatuses),
		EphemeralContainerStatuses: pruneStatuses(pod.Status.EphemeralContainerStatuses),
	}
}

// pruneMeta drops what nobody looks at, and has what is the same in many objects
// be in memory once.
func pruneMeta(meta *metav1.ObjectMeta) {
	meta.ManagedFields = nil
	meta.Namespace = shared(meta.Namespace)
	for i := range meta.OwnerReferences {
		owner := &meta.OwnerReferences[i]
		owner.APIVersion, owner.Kind = shared(owner.APIVersion), shared(owner.Kind)
	}
}

func pruneContainers(containers []corev1.Container) []corev1.Container {
	if len(containers) == 0 {
		return nil
	}
	pruned := make([]corev1.Container, 0, len(containers))
	for _, container := range containers {
		pruned = append(pruned, corev1.Container{
			Name: shared(container.Name), Image: shared(container.Image), RestartPolicy: container.RestartPolicy,
		})
	}
	return pruned
}

// pruneConditions keeps why a pod was not scheduled, and what the rules of a
// podFailurePolicy ask for.
func pruneConditions(conditions []corev1.PodCondition) []corev1.PodCondition {
	var pruned []corev1.PodCondition
	for _, c := range conditions {
		switch {
		case c.Type == corev1.PodScheduled && c.Status != corev1.ConditionTrue:
			pruned = append(pruned, c)
		case slices.Contains(plan.KeptConditions(), c.Type):
			pruned = append(pruned, corev1.PodCondition{Type: c.Type, Status: c.Status})
		}
	}
	return pruned
}

func pruneStatuses(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(statuses) == 0 {
		return nil
	}
	pruned := make([]corev1.ContainerStatus, 0, len(statuses))
	for _, status := range statuses {
		pruned = append(pruned, corev1.ContainerStatus{
			Name: shared(status.Name), Image: shared(status.Image), ImageID: shared(status.ImageID),
			ContainerID: status.ContainerID, Ready: status.Ready, Started: status.Started, RestartCount: status.RestartCount,
			State: status.State, LastTerminationState: status.LastTerminationState,
		})
	}
	return pruned
}

// shared returns s, which is the same in many objects, as it is in memory already.
func shared(s string) string { return unique.Make(s).Value() }
