package policy

import (
	"maps"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/api"
)

const (
	legacyNameLabel = "job-name"
	legacyUIDLabel  = "controller-uid"
)

// jobLabels are the labels by which Kubernetes names a Job and its UID.
var jobLabels = []string{legacyNameLabel, batchv1.JobNameLabel, legacyUIDLabel, batchv1.ControllerUidLabel}

// LabelName gives a Job that is being created the labels with its name, where the
// API server would. It lets a Job without labels of its own share those of its pod
// template, and then adds labels for the selector to the template's, so that the
// Job has them too (SetDefaults_Job and generateSelector). Any change by a webhook
// ends that: the two are apart from then on. A Job whose user wrote the same labels
// on both looks the same, and gets them as well. Call it before Stamp, which labels
// the template; a Job that has no name yet gets none.
func LabelName(job *batchv1.Job) {
	shares := len(job.Labels) > 0 && maps.Equal(job.Labels, job.Spec.Template.Labels)
	if has(job.Spec.Template.Labels, api.EnabledLabel) {
		shares = false // stamped before
	}
	if job.Name == "" || !shares || ptr.Deref(job.Spec.ManualSelector, false) {
		return
	}
	job.Labels = withMissing(job.Labels, job.Name, legacyNameLabel, batchv1.JobNameLabel)
}

// LabelUID gives a Job that LabelName labelled the labels with its UID, which no
// webhook knows yet. The manager adds them to a patch that it makes anyway.
func LabelUID(job *batchv1.Job) {
	if job.UID == "" || job.Labels[batchv1.JobNameLabel] != job.Name || ptr.Deref(job.Spec.ManualSelector, false) {
		return
	}
	job.Labels = withMissing(job.Labels, string(job.UID), legacyUIDLabel, batchv1.ControllerUidLabel)
}

// withMissing returns a copy of labels in which the keys that were missing have the
// value.
func withMissing(labels map[string]string, value string, keys ...string) map[string]string {
	labels = maps.Clone(labels)
	for _, key := range keys {
		if !has(labels, key) {
			labels[key] = value
		}
	}
	return labels
}
