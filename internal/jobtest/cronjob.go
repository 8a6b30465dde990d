package jobtest

import (
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CronJobBuilder builds a CronJob.
type CronJobBuilder struct{ cronJob batchv1.CronJob }

// MakeCronJob returns the builder of a CronJob that runs the Job of MakeJob
// every minute.
func MakeCronJob(namespace, name string) *CronJobBuilder {
	return &CronJobBuilder{batchv1.CronJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "CronJob"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: batchv1.CronJobSpec{
			Schedule:    "* * * * *",
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: podTemplate()}},
		},
	}}
}

// Obj returns the CronJob.
func (b *CronJobBuilder) Obj() *batchv1.CronJob { return &b.cronJob }

// JobLabel sets one label of the Job template.
func (b *CronJobBuilder) JobLabel(key, value string) *CronJobBuilder {
	put(&b.cronJob.Spec.JobTemplate.Labels, key, value)
	return b
}

// JobAnnotation sets one annotation of the Job template.
func (b *CronJobBuilder) JobAnnotation(key, value string) *CronJobBuilder {
	put(&b.cronJob.Spec.JobTemplate.Annotations, key, value)
	return b
}

// History sets the limits of finished Jobs that are kept.
func (b *CronJobBuilder) History(successful, failed int32) *CronJobBuilder {
	b.cronJob.Spec.SuccessfulJobsHistoryLimit = &successful
	b.cronJob.Spec.FailedJobsHistoryLimit = &failed
	return b
}

// Concurrency sets spec.concurrencyPolicy.
func (b *CronJobBuilder) Concurrency(policy batchv1.ConcurrencyPolicy) *CronJobBuilder {
	b.cronJob.Spec.ConcurrencyPolicy = policy
	return b
}

// Suspended sets spec.suspend.
func (b *CronJobBuilder) Suspended() *CronJobBuilder {
	b.cronJob.Spec.Suspend = new(true)
	return b
}
