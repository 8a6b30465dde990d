package plan

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/jobtest"
)

// Tests happen some time after every Job of theirs finished.
var (
	finished = time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)
	now      = finished.Add(time.Minute)
)

func nightly(uid types.UID, lastSuccess *time.Time, active ...types.UID) *batchv1.CronJob {
	cronJob := jobtest.MakeCronJob("team", "nightly").Obj()
	cronJob.UID = uid
	if lastSuccess != nil {
		cronJob.Status.LastSuccessfulTime = &metav1.Time{Time: *lastSuccess}
	}
	for _, uid := range active {
		cronJob.Status.Active = append(cronJob.Status.Active, corev1.ObjectReference{Kind: "Job", UID: uid})
	}
	return cronJob
}

func TestTookNote(t *testing.T) {
	before, at, after := finished.Add(-time.Second), finished, finished.Add(time.Second)
	succeeded := byCronJob().Completed(finished).Obj()
	failed := byCronJob().Failed(finished, "BackoffLimitExceeded", "").Obj()
	for name, test := range map[string]struct {
		job     *batchv1.Job
		cronJob *batchv1.CronJob
		want    bool
	}{
		"success, noted at its end":             {succeeded, nightly("cronjob-uid", &at), true},
		"success, and a later one noted":        {succeeded, nightly("cronjob-uid", &after), true},
		"success, only an earlier one noted":    {succeeded, nightly("cronjob-uid", &before), false},
		"success, none noted":                   {succeeded, nightly("cronjob-uid", nil), false},
		"success, noted but still active":       {succeeded, nightly("cronjob-uid", &at, "job-uid"), false},
		"success, active among others":          {succeeded, nightly("cronjob-uid", &at, "a", "job-uid", "b"), false},
		"success, noted, others active":         {succeeded, nightly("cronjob-uid", &at, "a", "b"), true},
		"failure, not active":                   {failed, nightly("cronjob-uid", nil), true},
		"failure, an earlier success":           {failed, nightly("cronjob-uid", &before), true},
		"failure, still active":                 {failed, nightly("cronjob-uid", &after, "job-uid"), false},
		"failure, others active":                {failed, nightly("cronjob-uid", nil, "a"), true},
		"the CronJob is gone":                   {succeeded, nil, true},
		"the CronJob is gone, an empty answer":  {succeeded, &batchv1.CronJob{}, true},
		"another CronJob under the same name":   {succeeded, nightly("another-uid", nil, "job-uid"), true},
		"nobody's Job":                          {makeJob().Completed(finished).Obj(), nightly("cronjob-uid", nil, "job-uid"), true},
		"nobody's Job, no CronJob":              {makeJob().Completed(finished).Obj(), nil, true},
		"another controller's Job":              {makeJob().OwnedBy("v1", "Pod", "p", "cronjob-uid").Completed(finished).Obj(), nightly("cronjob-uid", nil), true},
		"success, noted with the whole second":  {byCronJob().Completed(finished.Add(time.Millisecond)).Obj(), nightly("cronjob-uid", &at), false},
		"success, noted in another time zone":   {succeeded, nightly("cronjob-uid", new(at.In(time.FixedZone("", 7200)))), true},
		"not finished, which nobody asks about": {byCronJob().Obj(), nightly("cronjob-uid", nil), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := TookNote(test.cronJob, test.job); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
