package hostmanager

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

const (
	admissionTimeout = 2 * time.Minute
	admissionPoll    = 100 * time.Millisecond
)

// AwaitAdmission waits until the API server sends Jobs to the manager. It takes
// a moment to notice webhook configurations, and until then admits Jobs
// unseen. Nothing is created: it asks with a dry run.
func AwaitAdmission(ctx context.Context, kube client.Client) error {
	stamped := func(ctx context.Context) (bool, error) {
		job := probe()
		if err := kube.Create(ctx, job, client.DryRunAll); err != nil {
			return false, fmt.Errorf("creating a Job in a dry run: %w", err)
		}
		return job.Spec.Template.Labels[api.EnabledLabel] == api.True, nil
	}
	if err := wait.PollUntilContextTimeout(ctx, admissionPoll, admissionTimeout, true, stamped); err != nil {
		return fmt.Errorf("waiting for Jobs to be sent to the manager: %w", err)
	}
	return nil
}

// probe returns a Job that the webhook stamps in any namespace. It keeps to
// the level restricted of Pod Security, which might warn of it.
func probe() *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceDefault, GenerateName: "admission-probe-",
			Labels: map[string]string{api.EnabledLabel: api.True},
		},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   new(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "main", Image: "none",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		}}},
	}
}
