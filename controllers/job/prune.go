package job

import (
	"fmt"
	"slices"
	"strings"
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

const (
	// maxSelector is the size up to which a user's own selector is kept.
	maxSelector = 4 << 10
	// maxConditions is how many conditions of a Job are kept.
	maxConditions = 16
	// These bound reasons, messages, names of images and the like. Results have less of
	// them.
	maxReason  = 512
	maxMessage = 8 << 10
	maxImage   = 1 << 10
	// maxContainers is how many containers of each kind a cached pod has.
	maxContainers = 64
	// maxIndex is the length of the largest completion index.
	maxIndex = 20
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

// pruneJob drops the fields that decide nothing, so that a Job takes a few KiB at most.
// It drops the pod template, except for the opt-in label while that can change, and a
// selector that follows from the UID or is large: see selectorOf. It keeps labels that
// may be propagated and marks of Jobs that are left alone.
func pruneJob(job *batchv1.Job, defaults policy.Defaults) {
	large := isLarge(job)
	managers := policy.KeepManagers(job.ManagedFields)
	pruneMeta(&job.ObjectMeta)
	job.ManagedFields = managers
	policy.Keep(job, defaults)
	pruneJobSpec(job)
	pruneJobConditions(job)
	dropped := policy.DroppedOf(job)
	dropped.Large = large
	dropped.Note(job)
}

func pruneJobSpec(job *batchv1.Job) {
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
	if selector := job.Spec.Selector; selector != nil && selector.Size() > maxSelector {
		job.Spec.Selector = nil
		dropped := policy.DroppedOf(job)
		dropped.Selector = true
		dropped.Note(job)
	}
}

// pruneJobConditions keeps the first conditions of the Job. There are usually at most
// seven.
func pruneJobConditions(job *batchv1.Job) {
	if len(job.Status.Conditions) > maxConditions {
		job.Status.Conditions = slices.Clone(job.Status.Conditions[:maxConditions])
	}
	for i := range job.Status.Conditions {
		c := &job.Status.Conditions[i]
		c.Type = batchv1.JobConditionType(within(string(c.Type), maxReason))
		c.Reason, c.Message = within(c.Reason, maxReason), within(c.Message, maxMessage)
	}
}

// generatedSelector is the selector that the API server generates.
func generatedSelector(job *batchv1.Job) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{batchv1.ControllerUidLabel: string(job.UID)}}
}

// selectorOf returns the selector of a Job that may have been pruned, unless it was
// too large to keep.
func selectorOf(job *batchv1.Job) *metav1.LabelSelector {
	if job.Spec.Selector == nil {
		return generatedSelector(job)
	}
	return job.Spec.Selector
}

// prunePod drops fields that results do not have: volumes, environments, probes,
// addresses and the like. If a pod has very many containers, one placeholder without a
// log replaces the rest.
func prunePod(pod *corev1.Pod) {
	pruneMeta(&pod.ObjectMeta)
	index, indexed := pod.Annotations[batchv1.JobCompletionIndexAnnotation]
	pod.Labels, pod.Annotations = orphanLabels(pod), nil
	policy.Keep(pod, policy.Defaults{PropagatableLabels: []string{batchv1.ControllerUidLabel, batchv1.JobNameLabel}})
	if indexed && len(index) <= maxIndex {
		pod.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: index}
	}
	spec := corev1.PodSpec{NodeName: shared(pod.Spec.NodeName), RestartPolicy: pod.Spec.RestartPolicy}
	spec.InitContainers = pruneContainers(pod.Spec.InitContainers)
	spec.Containers = pruneContainers(pod.Spec.Containers)
	for _, container := range pod.Spec.EphemeralContainers[:min(len(pod.Spec.EphemeralContainers), maxContainers)] {
		spec.EphemeralContainers = append(spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: shared(container.Name), Image: image(container.Image)},
		})
	}
	pod.Spec = spec
	pod.Status = corev1.PodStatus{
		Phase:  corev1.PodPhase(shared(string(pod.Status.Phase))),
		Reason: within(pod.Status.Reason, maxReason), Message: within(pod.Status.Message, maxMessage),
		Conditions:                 pruneConditions(pod.Status.Conditions),
		InitContainerStatuses:      pruneStatuses(pod.Status.InitContainerStatuses),
		ContainerStatuses:          pruneStatuses(pod.Status.ContainerStatuses),
		EphemeralContainerStatuses: pruneStatuses(pod.Status.EphemeralContainerStatuses),
	}
}

// pruneMeta drops unused metadata, and shares strings that are the same in many objects.
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
	known := len(containers)
	if known > maxContainers {
		known = maxContainers - 1
	}
	pruned := make([]corev1.Container, 0, min(len(containers), maxContainers))
	for _, container := range containers[:known] {
		pruned = append(pruned, corev1.Container{
			Name: shared(container.Name), Image: image(container.Image), RestartPolicy: container.RestartPolicy,
			RestartPolicyRules: pruneRules(container.RestartPolicyRules),
		})
	}
	if more := len(containers) - known; more > 0 {
		pruned = append(pruned, corev1.Container{Name: fmt.Sprintf("and %d more", more)})
	}
	return pruned
}

// pruneRules keeps whether there are restart rules.
func pruneRules(rules []corev1.ContainerRestartRule) []corev1.ContainerRestartRule {
	if len(rules) == 0 {
		return nil
	}
	return []corev1.ContainerRestartRule{{}}
}

// pruneConditions keeps the conditions that say why a pod was not scheduled or was
// disrupted, those that rules of a podFailurePolicy name, and since when all containers
// are being restarted.
func pruneConditions(conditions []corev1.PodCondition) []corev1.PodCondition {
	var pruned []corev1.PodCondition
	for _, c := range conditions {
		switch {
		case len(pruned) > len(plan.KeptConditions())+1:
			return pruned
		case c.Type == corev1.PodScheduled && c.Status != corev1.ConditionTrue, c.Type == corev1.DisruptionTarget:
			c.Reason, c.Message = within(c.Reason, maxReason), within(c.Message, maxMessage)
			pruned = append(pruned, c)
		case c.Type == corev1.AllContainersRestarting && c.Status == corev1.ConditionTrue:
			pruned = append(pruned, corev1.PodCondition{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime})
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
	statuses = statuses[:min(len(statuses), maxContainers)]
	pruned := make([]corev1.ContainerStatus, 0, len(statuses))
	for _, status := range statuses {
		pruned = append(pruned, corev1.ContainerStatus{
			Name: shared(status.Name), Image: image(status.Image), ImageID: image(status.ImageID),
			ContainerID: within(status.ContainerID, maxReason), Ready: status.Ready, Started: status.Started, RestartCount: status.RestartCount,
			State: pruneState(status.State), LastTerminationState: pruneState(status.LastTerminationState),
		})
	}
	return pruned
}

func pruneState(state corev1.ContainerState) corev1.ContainerState {
	if waiting := state.Waiting; waiting != nil {
		waiting.Reason, waiting.Message = within(waiting.Reason, maxReason), within(waiting.Message, maxMessage)
	}
	if end := state.Terminated; end != nil {
		end.Reason, end.Message = within(end.Reason, maxReason), within(end.Message, maxMessage)
		end.ContainerID = within(end.ContainerID, maxReason)
	}
	return state
}

func image(name string) string { return shared(within(name, maxImage)) }

// within returns s, shortened to the bound.
func within(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.Clone(strings.ToValidUTF8(s[:most], ""))
}

// shared returns the copy of s that many objects share.
func shared(s string) string { return unique.Make(s).Value() }
