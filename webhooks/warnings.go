package webhooks

import (
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/policy"
)

// where shortens metadata.annotations[key] to key and metadata.labels[key] to
// label key: Kubernetes asks for warnings of at most 120 characters.
func where(path string) string {
	parent, key, ok := strings.Cut(strings.TrimSuffix(path, "]"), "[")
	switch {
	case !ok:
		return path
	case strings.HasSuffix(parent, "labels"):
		return "label " + key
	default:
		return key
	}
}

// ttlWarning warns a user who asked for it that results are not deleted while retention
// is off.
func ttlWarning(retentionOff bool, wanted policy.Policy, owners ...metav1.Object) []string {
	if !retentionOff || wanted.ResultsTTL.Never {
		return nil
	}
	for _, owner := range owners {
		if _, asked := owner.GetAnnotations()[api.ResultsTTLAnnotation]; asked {
			return []string{fmt.Sprintf("%s %s is recorded, but nothing deletes the results: retention is off in this cluster",
				api.ResultsTTLAnnotation, wanted.ResultsTTL)}
		}
	}
	return nil
}

// nameWarning warns about one name for the results of every run of a CronJob.
func nameWarning(template *batchv1.JobTemplateSpec) []string {
	if _, fixed := template.Annotations[api.ResultsNameAnnotation]; !fixed {
		return nil
	}
	return []string{fmt.Sprintf("%s in jobTemplate: all runs ask for this name; only the first gets it without a suffix",
		api.ResultsNameAnnotation)}
}

// historyWarnings warn about limits by which the CronJob controller may delete a finished
// Job and its logs before they are stored. They ignore the defaults,
// failedJobsHistoryLimit 1 with concurrencyPolicy Allow: users ignore a warning that
// every CronJob gets.
func historyWarnings(spec *batchv1.CronJobSpec) []string {
	allow := spec.ConcurrencyPolicy == batchv1.AllowConcurrent || spec.ConcurrencyPolicy == ""
	var warnings []string
	if limit := spec.SuccessfulJobsHistoryLimit; limit != nil && (*limit == 0 || *limit == 1 && allow) {
		warnings = append(warnings, historyWarning("successfulJobsHistoryLimit", *limit))
	}
	if limit := spec.FailedJobsHistoryLimit; limit != nil && *limit == 0 {
		warnings = append(warnings, historyWarning("failedJobsHistoryLimit", *limit))
	}
	return warnings
}

func historyWarning(name string, limit int32) string {
	return fmt.Sprintf("spec.%s %d can delete a Job before its results are stored: allow more", name, limit)
}
