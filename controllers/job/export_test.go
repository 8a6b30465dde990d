package job

import batchv1 "k8s.io/api/batch/v1"

// Watched has the Reconciler know of these Jobs and no others, as the watch tells of
// them.
func (r *Reconciler) Watched(jobs []batchv1.Job) {
	r.cronJobs.histories = histories{}
	for i := range jobs {
		r.cronJobs.histories.note(&jobs[i])
	}
}
