package job

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
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

// pruneJob drops what nobody looks at, above all the pod template, of which
// only the labels stay.
func pruneJob(job *batchv1.Job) {
	job.ManagedFields = nil
	delete(job.Annotations, corev1.LastAppliedConfigAnnotation)
	job.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: *job.Spec.Template.ObjectMeta.DeepCopy()}
	job.Spec.Template.ManagedFields = nil
}

// prunePod drops what results do not tell: volumes, environments, probes and
// the like.
func prunePod(pod *corev1.Pod) {
	pod.ManagedFields = nil
	delete(pod.Annotations, corev1.LastAppliedConfigAnnotation)
	spec := corev1.PodSpec{NodeName: pod.Spec.NodeName, RestartPolicy: pod.Spec.RestartPolicy}
	spec.InitContainers = pruneContainers(pod.Spec.InitContainers)
	spec.Containers = pruneContainers(pod.Spec.Containers)
	for _, container := range pod.Spec.EphemeralContainers {
		spec.EphemeralContainers = append(spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: container.Name, Image: container.Image},
		})
	}
	pod.Spec = spec
}

func pruneContainers(containers []corev1.Container) []corev1.Container {
	pruned := make([]corev1.Container, 0, len(containers))
	for _, container := range containers {
		pruned = append(pruned, corev1.Container{
			Name: container.Name, Image: container.Image, RestartPolicy: container.RestartPolicy,
		})
	}
	return pruned
}
