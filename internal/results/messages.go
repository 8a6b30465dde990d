package results

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/redact"
)

// redactMessages replaces credentials in what the run's Job, pods and
// containers say of themselves, and in Events, in copies of them, and counts for the
// run what was replaced there and in logs.
func (run *Run) redactMessages() {
	counts := redact.Counts{}
	var replaced redact.Counts
	run.Outcome.Message, replaced = run.Redact.String(run.Outcome.Message)
	counts.Add(replaced)
	run.Events = slices.Clone(run.Events)
	for i := range run.Events {
		run.Events[i].Message, replaced = run.Redact.String(run.Events[i].Message)
		counts.Add(replaced)
	}
	run.Pods = slices.Clone(run.Pods)
	for i := range run.Pods {
		p := &run.Pods[i]
		p.Pod = redactPod(run.Redact, p.Pod, counts)
		for _, l := range p.Logs {
			counts.Add(l.Redacted)
		}
	}
	if len(counts) > 0 {
		run.redacted = counts
	}
}

// RedactPod returns pod with the credentials replaced in what it and its
// containers say of themselves, in a copy where that changes something. nil
// rules replace nothing.
func RedactPod(rules *redact.Set, pod *corev1.Pod) *corev1.Pod {
	return redactPod(rules, pod, redact.Counts{})
}

// redactPod returns pod with its messages redacted, in a copy where that changes
// something, and adds to counts what was replaced.
func redactPod(rules *redact.Set, pod *corev1.Pod, counts redact.Counts) *corev1.Pod {
	changed := false
	for _, message := range messages(pod) {
		if _, replaced := rules.String(*message); replaced.Total() > 0 {
			counts.Add(replaced)
			changed = true
		}
	}
	if !changed {
		return pod
	}
	pod = pod.DeepCopy()
	for _, message := range messages(pod) {
		*message, _ = rules.String(*message)
	}
	return pod
}

// messages returns where the texts of pod are that a container may have written,
// or that may quote what it was given.
func messages(pod *corev1.Pod) []*string {
	var found []*string
	add := func(message *string) {
		if *message != "" {
			found = append(found, message)
		}
	}
	status := &pod.Status
	add(&status.Message)
	for i := range status.Conditions {
		add(&status.Conditions[i].Message)
	}
	for _, list := range [][]corev1.ContainerStatus{
		status.InitContainerStatuses, status.ContainerStatuses, status.EphemeralContainerStatuses,
	} {
		for i := range list {
			for _, state := range []*corev1.ContainerState{&list[i].State, &list[i].LastTerminationState} {
				if state.Terminated != nil {
					add(&state.Terminated.Message)
				}
				if state.Waiting != nil {
					add(&state.Waiting.Message)
				}
			}
		}
	}
	return found
}
