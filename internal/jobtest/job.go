// Package jobtest builds objects for tests. An object is valid on a real API server
// unless the test makes it otherwise. Builders change and return themselves, so that
// calls can be chained. Obj returns the object; the builder does not touch it
// afterwards unless it is used again. Product code must not import this package.
package jobtest

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Image is the image of every container that a builder makes.
const Image = "localhost/busybox:1"

// JobBuilder builds a Job.
type JobBuilder struct{ job batchv1.Job }

// MakeJob returns the builder of a Job with one container, "main", that ends
// at once. Its pods are not restarted.
func MakeJob(namespace, name string) *JobBuilder {
	return &JobBuilder{batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       batchv1.JobSpec{Template: podTemplate()},
	}}
}

func podTemplate() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "main", Image: Image, Command: []string{"true"}}},
	}}
}

// Obj returns the Job.
func (b *JobBuilder) Obj() *batchv1.Job { return &b.job }

// GenerateName takes the name away and lets the API server make one.
func (b *JobBuilder) GenerateName(prefix string) *JobBuilder {
	b.job.Name, b.job.GenerateName = "", prefix
	return b
}

// UID sets the UID.
func (b *JobBuilder) UID(uid types.UID) *JobBuilder {
	b.job.UID = uid
	return b
}

// Label sets one label.
func (b *JobBuilder) Label(key, value string) *JobBuilder {
	put(&b.job.Labels, key, value)
	return b
}

// Annotation sets one annotation.
func (b *JobBuilder) Annotation(key, value string) *JobBuilder {
	put(&b.job.Annotations, key, value)
	return b
}

// Finalizer adds one finalizer.
func (b *JobBuilder) Finalizer(name string) *JobBuilder {
	b.job.Finalizers = append(b.job.Finalizers, name)
	return b
}

// TemplateLabel sets one label of the pod template.
func (b *JobBuilder) TemplateLabel(key, value string) *JobBuilder {
	put(&b.job.Spec.Template.Labels, key, value)
	return b
}

// TTL sets spec.ttlSecondsAfterFinished.
func (b *JobBuilder) TTL(seconds int32) *JobBuilder {
	b.job.Spec.TTLSecondsAfterFinished = &seconds
	return b
}

// Suspended sets spec.suspend.
func (b *JobBuilder) Suspended() *JobBuilder {
	b.job.Spec.Suspend = new(true)
	return b
}

// ManagedBy sets spec.managedBy.
func (b *JobBuilder) ManagedBy(controller string) *JobBuilder {
	b.job.Spec.ManagedBy = &controller
	return b
}

// OwnedBy adds the ownerReference of a controller.
func (b *JobBuilder) OwnedBy(apiVersion, kind, name string, uid types.UID) *JobBuilder {
	b.job.OwnerReferences = append(b.job.OwnerReferences, metav1.OwnerReference{
		APIVersion: apiVersion, Kind: kind, Name: name, UID: uid, Controller: new(true),
	})
	return b
}

// Started sets status.startTime.
func (b *JobBuilder) Started(at time.Time) *JobBuilder {
	b.job.Status.StartTime = &metav1.Time{Time: at}
	return b
}

// Completed sets the condition Complete and what belongs to it.
func (b *JobBuilder) Completed(at time.Time) *JobBuilder {
	b.job.Status.CompletionTime = &metav1.Time{Time: at}
	return b.condition(batchv1.JobComplete, at, batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods")
}

// Failed sets the condition Failed with this reason.
func (b *JobBuilder) Failed(at time.Time, reason, message string) *JobBuilder {
	return b.condition(batchv1.JobFailed, at, reason, message)
}

func (b *JobBuilder) condition(kind batchv1.JobConditionType, at time.Time, reason, message string) *JobBuilder {
	b.job.Status.Conditions = append(b.job.Status.Conditions, batchv1.JobCondition{
		Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message,
		LastProbeTime: metav1.Time{Time: at}, LastTransitionTime: metav1.Time{Time: at},
	})
	return b
}

func put(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}
