package ledger

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/plan"
)

// CatchUp is how long the cache may show a Job as it was before a write of this
// process. If it still does after that, another client undid the write.
const CatchUp = 5 * time.Second

// Storing notes that the Job has finished and that its results are being stored.
func (l *Ledger) Storing(job *batchv1.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(job.UID).unstored = true
}

// Reading notes that the logs of the Job are read once more. It returns when they were
// read first, and how often with this time.
func (l *Ledger) Reading(job *batchv1.Job, now time.Time) (first time.Time, tries int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(job.UID)
	if known.tries == 0 {
		known.first = now
	}
	known.tries++
	known.unstored = true
	return known.first, known.tries
}

// Waited returns how long ago the Job was first found waiting for this.
func (l *Ledger) Waited(job types.UID, what plan.Waiting, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(job)
	if known.waiting == nil {
		known.waiting = map[plan.Waiting]time.Time{}
	}
	if known.waiting[what].IsZero() {
		known.waiting[what] = now
	}
	return now.Sub(known.waiting[what])
}

// Refused counts a refusal of the API server and returns how many there were since the
// Job was last reported.
func (l *Ledger) Refused(job *batchv1.Job) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(job.UID)
	known.refusals++
	return known.refusals
}

// Reported notes that the Job says now that its results are stored.
func (l *Ledger) Reported(job *batchv1.Job, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(job.UID)
	known.unstored, known.tries, known.refusals, known.reported = false, 0, 0, now
}

// Missing notes that results which the Job calls stored are not there.
func (l *Ledger) Missing(job *batchv1.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(job.UID)
	known.unstored, known.reported, known.counted = true, time.Time{}, true
}

// Count reports whether the Job is to be counted as stored: once.
func (l *Ledger) Count(job types.UID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(job)
	first := !known.counted
	known.counted = true
	return first
}

// Behind reports whether job is an older state than the one that was reported.
func (l *Ledger) Behind(job *batchv1.Job, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.jobs[job.UID]
	return known != nil && !plan.Stored(job) && !known.reported.IsZero() && now.Sub(known.reported) < CatchUp
}

// Unstored reports whether the Job's results are known not to be stored, whatever its
// annotation claims.
func (l *Ledger) Unstored(job *batchv1.Job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.jobs[job.UID]
	return known != nil && known.unstored
}

// LookedAtCronJob counts a look at the Job's CronJob, which has not taken note of its
// end, and returns how many there were.
func (l *Ledger) LookedAtCronJob(job *batchv1.Job) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.of(job.UID)
	known.looks++
	return known.looks
}
