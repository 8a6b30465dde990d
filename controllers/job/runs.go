package job

import (
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/job-handler/job-handler/internal/plan"
)

const (
	// After a report the cache may show the Job as it was before for a moment.
	cacheCatchUp = 200 * time.Millisecond
	// If it still does after this time somebody took the status away again.
	cacheCatchUpDeadline = 5 * time.Second
)

// runs remembers what this process knows of runs that it is at work on. It is
// never needed to be right about what is stored, only to look less often. The
// zero value is ready.
type runs struct {
	mu   sync.Mutex
	byID map[types.UID]*run
	// held are the Jobs whose deletion our finalizer holds up.
	held sets.Set[types.UID]
}

type run struct {
	// first is when logs were first read, tries how often.
	first time.Time
	tries int
	// waiting is since when it waits for what.
	waiting map[string]time.Time
	// refusals counts how often the server refused what its results need.
	refusals int
	// looks counts how often the Job's CronJob was asked whether it took note.
	looks int
	// unstored is true from the first look at a finished Job to its report,
	// and again if its results turn out to be missing.
	unstored bool
	// reported is when the report was patched onto the Job.
	reported time.Time
	// counted is true once the metrics have the run as stored: by this process, or,
	// where its results went missing, by the one that stored it first.
	counted bool
	ttl     ttlFight
}

// atWork notes that the Job has finished and that its results are being stored.
func (r *runs) atWork(job *batchv1.Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.get(job.UID).unstored = true
}

// refused counts a refusal and returns how many there were.
func (r *runs) refused(job *batchv1.Job) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.get(job.UID)
	run.refusals++
	return run.refusals
}

// begin notes that the logs of the Job are read once more, and returns when
// they were first and how often now.
func (r *runs) begin(job *batchv1.Job, now time.Time) (first time.Time, tries int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.get(job.UID)
	if run.tries == 0 {
		run.first = now
	}
	run.tries++
	run.unstored = true
	return run.first, run.tries
}

// reported notes that the Job says now that its results are stored.
func (r *runs) reported(job *batchv1.Job, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.get(job.UID)
	run.unstored, run.tries, run.refusals, run.reported = false, 0, 0, now
}

// lost notes that results which the Job calls stored are not there.
func (r *runs) lost(job *batchv1.Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.get(job.UID)
	run.unstored, run.reported, run.counted = true, time.Time{}, true
}

// toCount reports whether the run is to be counted as stored, once.
func (r *runs) toCount(job types.UID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.get(job)
	first := !run.counted
	run.counted = true
	return first
}

// behind reports whether job is an older state than the one reported.
func (r *runs) behind(job *batchv1.Job, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	run, known := r.byID[job.UID]
	return known && !plan.Stored(job) && !run.reported.IsZero() && now.Sub(run.reported) < cacheCatchUpDeadline
}

// knownUnstored reports whether the Job's results are not stored, whatever its
// annotation claims.
func (r *runs) knownUnstored(job *batchv1.Job) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	run, known := r.byID[job.UID]
	return known && run.unstored
}

// setHeld notes whether our finalizer holds up the deletion of the Job, and
// returns of how many it does.
func (r *runs) setHeld(job types.UID, held bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !held:
		r.held.Delete(job)
	case r.held == nil:
		r.held = sets.New(job)
	default:
		r.held.Insert(job)
	}
	return r.held.Len()
}

// forget drops what is known of a Job that is gone.
func (r *runs) forget(job types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, job)
}

func (r *runs) get(job types.UID) *run {
	if r.byID == nil {
		r.byID = map[types.UID]*run{}
	}
	if r.byID[job] == nil {
		r.byID[job] = &run{}
	}
	return r.byID[job]
}
