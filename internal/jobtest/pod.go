package jobtest

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// shell is the command that runs a script of Image's shell.
func shell(script string) []string { return []string{"sh", "-c", script} }

func scripted(name, script string) corev1.Container {
	return corev1.Container{Name: name, Image: Image, Command: shell(script)}
}

func (b *JobBuilder) pod() *corev1.PodSpec { return &b.job.Spec.Template.Spec }

// Script has the container "main" run a shell script.
func (b *JobBuilder) Script(script string) *JobBuilder {
	b.pod().Containers[0].Command = shell(script)
	return b
}

// Image sets the image of the container "main".
func (b *JobBuilder) Image(image string) *JobBuilder {
	b.pod().Containers[0].Image = image
	return b
}

// Container adds a container that runs a shell script.
func (b *JobBuilder) Container(name, script string) *JobBuilder {
	b.pod().Containers = append(b.pod().Containers, scripted(name, script))
	return b
}

// InitContainer adds an init container that runs a shell script.
func (b *JobBuilder) InitContainer(name, script string) *JobBuilder {
	b.pod().InitContainers = append(b.pod().InitContainers, scripted(name, script))
	return b
}

// Sidecar adds an init container that is restarted always: it starts before
// the containers and is ended after them.
func (b *JobBuilder) Sidecar(name, script string) *JobBuilder {
	b.InitContainer(name, script)
	b.pod().InitContainers[len(b.pod().InitContainers)-1].RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	return b
}

// HostFolder mounts a folder of the node, made if need be, into the container
// "main".
func (b *JobBuilder) HostFolder(path, mountPath string) *JobBuilder {
	mountHostFolder(b.pod(), path, mountPath)
	return b
}

func mountHostFolder(pod *corev1.PodSpec, path, mountPath string) {
	name := fmt.Sprintf("folder-%d", len(pod.Volumes))
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: path, Type: new(corev1.HostPathDirectoryOrCreate)},
	}})
	mounts := &pod.Containers[0].VolumeMounts
	*mounts = append(*mounts, corev1.VolumeMount{Name: name, MountPath: mountPath})
}

// RestartPolicy sets the restart policy of the pods.
func (b *JobBuilder) RestartPolicy(policy corev1.RestartPolicy) *JobBuilder {
	b.pod().RestartPolicy = policy
	return b
}

// RestartRule has the last container do this when it exits with this code, and else not
// be started again.
func (b *JobBuilder) RestartRule(action corev1.ContainerRestartRuleAction, exitCode int32) *JobBuilder {
	c := &b.pod().Containers[len(b.pod().Containers)-1]
	c.RestartPolicy = new(corev1.ContainerRestartPolicyNever)
	c.RestartPolicyRules = []corev1.ContainerRestartRule{{
		Action:    action,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{exitCode}},
	}}
	return b
}

// GracePeriod sets how long the pods have to end once they are told to.
func (b *JobBuilder) GracePeriod(seconds int64) *JobBuilder {
	b.pod().TerminationGracePeriodSeconds = &seconds
	return b
}

// Completions sets how many pods have to succeed, and how many may run at the
// same time.
func (b *JobBuilder) Completions(completions, parallelism int32) *JobBuilder {
	b.job.Spec.Completions, b.job.Spec.Parallelism = &completions, &parallelism
	return b
}

// Indexed sets spec.completionMode to Indexed.
func (b *JobBuilder) Indexed() *JobBuilder {
	b.job.Spec.CompletionMode = new(batchv1.IndexedCompletion)
	return b
}

// BackoffLimit sets how many failures are tried again.
func (b *JobBuilder) BackoffLimit(retries int32) *JobBuilder {
	b.job.Spec.BackoffLimit = &retries
	return b
}

// ActiveDeadline sets spec.activeDeadlineSeconds.
func (b *JobBuilder) ActiveDeadline(seconds int64) *JobBuilder {
	b.job.Spec.ActiveDeadlineSeconds = &seconds
	return b
}

// ManualSelector selects the pods by one label of their own instead of those
// that the API server makes up.
func (b *JobBuilder) ManualSelector(key, value string) *JobBuilder {
	b.job.Spec.ManualSelector = new(true)
	b.job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	return b.TemplateLabel(key, value)
}

// Script has the container "main" run a shell script.
func (b *CronJobBuilder) Script(script string) *CronJobBuilder {
	b.cronJob.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Command = shell(script)
	return b
}

// BackoffLimit sets how many failures of a Job are tried again.
func (b *CronJobBuilder) BackoffLimit(retries int32) *CronJobBuilder {
	b.cronJob.Spec.JobTemplate.Spec.BackoffLimit = &retries
	return b
}

// HostFolder mounts a folder of the node, made if need be, into the container
// "main".
func (b *CronJobBuilder) HostFolder(path, mountPath string) *CronJobBuilder {
	mountHostFolder(&b.cronJob.Spec.JobTemplate.Spec.Template.Spec, path, mountPath)
	return b
}
