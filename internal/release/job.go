package release

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
)

// releaseJob returns the Job without what holds it, and what was taken back in
// words; nil where nothing of ours holds it.
func releaseJob(job *batchv1.Job) (*batchv1.Job, []string) {
	desired := plan.Release(job)
	if desired == nil {
		return nil, nil
	}
	var done []string
	if len(desired.Finalizers) != len(job.Finalizers) {
		done = append(done, "finalizer "+api.ResultsFinalizer+" removed")
	}
	before, after := job.Spec.TTLSecondsAfterFinished, desired.Spec.TTLSecondsAfterFinished
	if !ptr.Equal(before, after) {
		done = append(done, fmt.Sprintf("ttlSecondsAfterFinished put back from %s to %s", shown(before), shown(after)))
	}
	if len(desired.Annotations) != len(job.Annotations) {
		done = append(done, "annotation "+api.TTLAnnotation+" removed")
	}
	if jobstatus.Of(job).Finished() && !plan.Stored(job) && (after != nil || job.DeletionTimestamp != nil) {
		done = append(done, "its results are not stored and are lost when Kubernetes deletes it")
	}
	return desired, done
}

func shown(ttl *int32) string {
	if ttl == nil {
		return "none"
	}
	return fmt.Sprint(*ttl)
}
