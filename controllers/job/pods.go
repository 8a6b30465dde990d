package job

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// jobOfPod is the index PodsByJob: the UID of the Job that controls the pod or, without a
// controller, the UID in its label. plan.Owns decides whether the pod belongs to that
// Job.
func jobOfPod(object client.Object) []string {
	owner := metav1.GetControllerOfNoCopy(object)
	switch job := object.GetLabels()[batchv1.ControllerUidLabel]; {
	case owner != nil && owner.Kind == "Job":
		return []string{string(owner.UID)}
	case owner == nil && job != "":
		return []string{job}
	default:
		return nil
	}
}

// orphanLabels returns the labels that name the Job of a pod without a controller; nil
// for other pods.
func orphanLabels(pod *corev1.Pod) map[string]string {
	uid, job := pod.Labels[batchv1.ControllerUidLabel], pod.Labels[batchv1.JobNameLabel]
	if uid == "" || metav1.GetControllerOfNoCopy(pod) != nil {
		return nil
	}
	return map[string]string{batchv1.ControllerUidLabel: uid, batchv1.JobNameLabel: job}
}

func podUIDs(pods []*corev1.Pod) []types.UID {
	uids := make([]types.UID, 0, len(pods))
	for _, pod := range pods {
		uids = append(uids, pod.UID)
	}
	return uids
}
