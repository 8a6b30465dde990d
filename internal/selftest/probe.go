package selftest

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// One name for all tests, since errors about it are told of once.
	probeName = "job-handler-self-test"
	// probeTTL is below every --ttl-floor, so that the webhook raises it.
	probeTTL = 60
)

// probe returns a Job that the webhook stamps in the manager's own namespace.
// It is what the Pod Security level restricted admits, and would run nothing
// if it were created for good.
func probe(namespace, word string) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: probeName,
			Labels:      map[string]string{api.EnabledLabel: api.True, api.SelfTestLabel: api.True},
			Annotations: map[string]string{api.SelfTestAnnotation: word},
		},
		Spec: batchv1.JobSpec{
			Suspend: new(true), BackoffLimit: new(int32(0)), TTLSecondsAfterFinished: new(int32(probeTTL)),
			Template: corev1.PodTemplateSpec{Spec: podSpec()},
		},
	}
}

func podSpec() corev1.PodSpec {
	// Some clusters refuse pod templates without limits.
	little := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("1m"), corev1.ResourceMemory: resource.MustParse("1Mi"),
	}
	return corev1.PodSpec{
		RestartPolicy:                corev1.RestartPolicyNever,
		AutomountServiceAccountToken: new(false),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot:   new(true),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "none", Image: "none",
			Resources: corev1.ResourceRequirements{Requests: little, Limits: little},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
}

// answered reports whether the webhook has seen the Job that probe returned.
func answered(job *batchv1.Job, word string) bool {
	return job.Annotations[api.SelfTestAnswerAnnotation] == word
}

// missing returns what is not there of the stamp.
func missing(job *batchv1.Job) []string {
	var parts []string
	for _, part := range []struct {
		there bool
		what  string
	}{
		{job.Labels[api.EnabledLabel] == api.True, "the label " + api.EnabledLabel},
		{job.Spec.Template.Labels[api.EnabledLabel] == api.True, "the pod template's label " + api.EnabledLabel},
		{job.Annotations[api.ResultsNameAnnotation] == names.Results(job.Name), "the annotation " + api.ResultsNameAnnotation},
		{recorded(job), "the annotation " + api.TTLAnnotation},
		{raised(job.Spec.TTLSecondsAfterFinished), "a raised ttlSecondsAfterFinished"},
	} {
		if !part.there {
			parts = append(parts, part.what)
		}
	}
	return parts
}

// recorded reports whether the Job's own TTL is still known.
func recorded(job *batchv1.Job) bool {
	own := policy.OwnTTL(job)
	return own != nil && *own == probeTTL
}

// raised leaves open to how much: during an update replicas may have different
// floors.
func raised(ttl *int32) bool { return ttl != nil && *ttl > probeTTL }
