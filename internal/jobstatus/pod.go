package jobstatus

import corev1 "k8s.io/api/core/v1"

// PodEnded reports whether the pod says that all its containers have ended for good.
func PodEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
