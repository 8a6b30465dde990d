package plan

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// truth is the answer to a question that cannot always be answered.
type truth int

const (
	no truth = iota
	yes
	untold
)

// Ignores reports whether a rule of the Job's podFailurePolicy can have a failed pod
// not be counted. Only then is the policy needed to know which pods are missing.
func Ignores(job *batchv1.Job) bool {
	policy := job.Spec.PodFailurePolicy
	return policy != nil && slices.ContainsFunc(policy.Rules, func(rule batchv1.PodFailurePolicyRule) bool {
		return rule.Action == batchv1.PodFailurePolicyActionIgnore
	})
}

// KeptConditions are the types of pod conditions that tell whether a rule of a
// podFailurePolicy matches. Pods are kept without any other.
func KeptConditions() []corev1.PodConditionType {
	return []corev1.PodConditionType{corev1.DisruptionTarget}
}

// ignored reports whether the podFailurePolicy had the failure of the pod not be
// counted. The Job controller asks the rules once, when it counts the pod. What the
// pod looked like then is known if it had ended by itself before. A pod that is
// deleted is counted once it has ended only where the Job goes on: as the Job fails,
// the controller counts the pods that it deletes while they still run.
func (c *counting) ignored(pod *corev1.Pod) truth {
	if !c.ignores {
		return no
	}
	if pod.Status.Phase != corev1.PodFailed || pod.DeletionTimestamp != nil && !c.awaitsEnd {
		return untold
	}
	for i := range c.failureRules {
		rule := &c.failureRules[i]
		switch matches(rule, pod) {
		case untold:
			return untold
		case yes:
			if rule.Action == batchv1.PodFailurePolicyActionIgnore {
				return yes
			}
			return no
		case no:
		}
	}
	return no
}

// matches reports whether a failed pod matches the rule, as matchPodFailurePolicy of
// the Job controller does. It cannot be told of conditions that are not kept.
func matches(rule *batchv1.PodFailurePolicyRule, pod *corev1.Pod) truth {
	if rule.OnExitCodes != nil {
		if hasExit(rule.OnExitCodes, pod.Status.ContainerStatuses) || hasExit(rule.OnExitCodes, pod.Status.InitContainerStatuses) {
			return yes
		}
		return no
	}
	answer := no
	for _, pattern := range rule.OnPodConditions {
		if !slices.Contains(KeptConditions(), pattern.Type) {
			answer = untold
			continue
		}
		if slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == pattern.Type && c.Status == pattern.Status
		}) {
			return yes
		}
	}
	return answer
}

// hasExit reports whether a container ended with an exit code that is meant.
func hasExit(wanted *batchv1.PodFailurePolicyOnExitCodesRequirement, statuses []corev1.ContainerStatus) bool {
	return slices.ContainsFunc(statuses, func(status corev1.ContainerStatus) bool {
		end := status.State.Terminated
		if end == nil || end.ExitCode == 0 || wanted.ContainerName != nil && *wanted.ContainerName != status.Name {
			return false
		}
		listed := slices.Contains(wanted.Values, end.ExitCode)
		switch wanted.Operator {
		case batchv1.PodFailurePolicyOnExitCodesOpIn:
			return listed
		case batchv1.PodFailurePolicyOnExitCodesOpNotIn:
			return !listed
		default:
			return false
		}
	})
}
