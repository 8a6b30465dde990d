package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

// deletes asks a History of these Jobs, each of which is another one, unless it is the
// Job that is asked about.
func deletes(cronJob *batchv1.CronJob, job *batchv1.Job, children []batchv1.Job) bool {
	var history History
	for i := range children {
		if children[i].UID != job.UID {
			children[i].UID += types.UID(fmt.Sprint(i))
		}
		history.Note(&children[i])
	}
	return history.Deletes(cronJob, job)
}

// plainlyDeletes is History.Deletes as one would write it: it looks at all Jobs.
func plainlyDeletes(cronJob *batchv1.CronJob, job *batchv1.Job, children []batchv1.Job) bool {
	for _, history := range []struct {
		limit *int32
		end   jobstatus.Phase
	}{
		{cronJob.Spec.SuccessfulJobsHistoryLimit, jobstatus.Completed},
		{cronJob.Spec.FailedJobsHistoryLimit, jobstatus.Failed},
	} {
		if history.limit == nil || !mayEnd(job, history.end) {
			continue
		}
		later := int32(0)
		for i := range children {
			if other := &children[i]; other.UID != job.UID && startedAfter(other, job) && mayEnd(other, history.end) {
				later++
			}
		}
		if later >= *history.limit {
			return true
		}
	}
	return false
}

// startedAfter reports whether a may count as started after b: of two in the same
// second it is their names that tell.
func startedAfter(a, b *batchv1.Job) bool {
	return a.Status.StartTime == nil || b.Status.StartTime != nil && !a.Status.StartTime.Before(b.Status.StartTime)
}

// drawChild draws a Job of the CronJob as it may be at some time.
func drawChild(t *rapid.T, number int) *batchv1.Job {
	b := jobtest.MakeJob("team", fmt.Sprintf("job-%d", number)).UID(types.UID(fmt.Sprintf("uid-%d", number)))
	if started := rapid.IntRange(-1, 6).Draw(t, "started"); started >= 0 {
		b.Started(finished.Add(time.Duration(started) * time.Second))
	}
	switch rapid.IntRange(0, 4).Draw(t, "ended") {
	case 0:
		b.Completed(finished)
	case 1:
		b.Failed(finished, "", "")
	}
	if rapid.Bool().Draw(t, "stored") {
		b.Annotation(api.StatusAnnotation, api.StatusCompleted)
	}
	return b.Obj()
}

// Whatever becomes of Jobs, the answer is that of a look at all of them, also about a
// Job in another state than the one that was noted, or that was not noted at all.
func TestHistoryIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var history History
		there := map[types.UID]batchv1.Job{}
		all := func() []batchv1.Job {
			var jobs []batchv1.Job
			for _, job := range there {
				jobs = append(jobs, job)
			}
			return jobs
		}
		limit := rapid.Int32Range(0, 8)
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			job := drawChild(t, rapid.IntRange(0, 12).Draw(t, "job"))
			if rapid.IntRange(0, 3).Draw(t, "change") == 0 {
				history.Forget(job.UID)
				delete(there, job.UID)
			} else {
				history.Note(job)
				there[job.UID] = *job
			}
			cronJob := jobtest.MakeCronJob("team", "nightly").History(limit.Draw(t, "successful"), limit.Draw(t, "failed")).Obj()
			asked := drawChild(t, rapid.IntRange(0, 14).Draw(t, "asked"))
			if want, got := plainlyDeletes(cronJob, asked, all()), history.Deletes(cronJob, asked); got != want {
				t.Fatalf("%t of %s, want %t", got, asked.Name, want)
			}
			if history.Len() != len(there) {
				t.Fatalf("%d Jobs, want %d", history.Len(), len(there))
			}
		}
	})
}

// A new Job has those looked at whose answer it changed.
func TestHistorySiblings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var history History
		var jobs []batchv1.Job
		for i := range rapid.IntRange(0, 30).Draw(t, "jobs") {
			job := drawChild(t, i)
			history.Note(job)
			jobs = append(jobs, *job)
		}
		limit := rapid.Int32Range(0, 8)
		cronJob := jobtest.MakeCronJob("team", "nightly").History(limit.Draw(t, "successful"), limit.Draw(t, "failed")).Obj()
		newest := jobtest.MakeJob("team", "newest").UID("newest").Obj()
		var changed []types.NamespacedName
		for i := range jobs {
			bare := !Stored(&jobs[i]) && !policy.Protected(&jobs[i])
			if bare && !plainlyDeletes(cronJob, &jobs[i], jobs) && plainlyDeletes(cronJob, &jobs[i], append(slices.Clone(jobs), *newest)) {
				changed = append(changed, types.NamespacedName{Namespace: "team", Name: jobs[i].Name})
			}
		}
		history.Note(newest)
		for _, of := range []*batchv1.CronJob{cronJob, nil} {
			siblings := history.Siblings(of, newest)
			for _, key := range changed {
				if !slices.Contains(siblings, key) {
					t.Fatalf("%s is not among %v", key, siblings)
				}
			}
			if slices.Contains(siblings, types.NamespacedName{Namespace: "team", Name: "newest"}) {
				t.Fatal("the new Job is its own sibling")
			}
		}
	})
}

// However many Jobs a CronJob has, few of them are looked at because of a new one,
// and none that is protected or stored.
func TestHistorySiblingsAreFew(t *testing.T) {
	var history History
	for i := range 5000 {
		b := jobtest.MakeJob("team", fmt.Sprintf("job-%d", i)).UID(types.UID(fmt.Sprintf("uid-%d", i))).Started(finished)
		if i%2 == 0 {
			b.Finalizer(api.ResultsFinalizer)
		}
		history.Note(b.Obj())
	}
	newest := jobtest.MakeJob("team", "newest").UID("newest").Obj()
	history.Note(newest)
	for name, cronJob := range map[string]*batchv1.CronJob{
		"none is deleted": jobtest.MakeCronJob("team", "c").History(100_000, 100_000).Obj(),
		"most are":        jobtest.MakeCronJob("team", "c").History(3, 1).Obj(),
		"all are":         jobtest.MakeCronJob("team", "c").History(0, 0).Obj(),
		"not known":       nil,
	} {
		siblings := history.Siblings(cronJob, newest)
		if len(siblings) > 2*mostSiblings || name == "none is deleted" && len(siblings) > 0 {
			t.Errorf("%s: %d siblings", name, len(siblings))
		}
	}
}

// BenchmarkHistory has 5,000 Jobs of one CronJob start one after the other, and asks
// about each of them once after each start.
func BenchmarkHistory(b *testing.B) {
	const children = 5000
	cronJob := jobtest.MakeCronJob("team", "c").History(100_000, 2500).Obj()
	jobs := make([]*batchv1.Job, children)
	for i := range jobs {
		jobs[i] = jobtest.MakeJob("team", fmt.Sprintf("job-%d", i)).UID(types.UID(fmt.Sprintf("uid-%d", i))).
			Started(finished.Add(time.Duration(i) * time.Second)).Obj()
	}
	b.Run("notes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var history History
			for _, job := range jobs {
				history.Note(job)
			}
		}
	})
	var history History
	for _, job := range jobs {
		history.Note(job)
	}
	b.Run("questions", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, job := range jobs {
				history.Deletes(cronJob, job)
			}
		}
	})
	b.Run("questions that look at all Jobs, 1 in 50", func(b *testing.B) {
		all := make([]batchv1.Job, 0, children)
		for _, job := range jobs {
			all = append(all, *job)
		}
		for b.Loop() {
			for i := 0; i < children; i += 50 {
				plainlyDeletes(cronJob, jobs[i], all)
			}
		}
	})
}
