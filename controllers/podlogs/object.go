package podlogs

import (
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/names"
)

// objectKey is the key of the object with this number for captures of the Job.
func objectKey(job *batchv1.Job, number int) types.NamespacedName {
	return types.NamespacedName{Namespace: job.Namespace, Name: names.Capture(job.Name, job.UID, number)}
}
