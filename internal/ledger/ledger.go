package ledger

import (
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
)

// Ledger has the entries of all Jobs. The zero value is ready; it is safe for
// concurrent use.
type Ledger struct {
	mu   sync.Mutex
	jobs map[types.UID]*entry
	// held is how many entries have held set.
	held int
	// vanished are Jobs that left the watch finished and without a status, until it is
	// known what became of them.
	vanished  map[types.NamespacedName][]*batchv1.Job
	deletions deletions
	again     madeAgain
	labels    labelCorrections
}

// entry is what is known of one Job.
type entry struct {
	// finished is when the Job finished, while the watch shows it without a status; zero
	// otherwise.
	finished time.Time
	// first is when its logs were first read, tries how often.
	first time.Time
	tries int
	// waiting is since when the Job waits for what.
	waiting map[plan.Waiting]time.Time
	// refusals counts how often the API server refused what its results need.
	refusals int
	// looks counts how often its CronJob was asked whether it took note.
	looks int
	// unstored is true from the first look at a finished Job to its report, and again
	// if its results turn out to be missing.
	unstored bool
	// reported is when the report was patched onto the Job.
	reported time.Time
	// counted is true once the metrics have the Job as stored: by this process, or, where
	// its results went missing, by the one that stored it first.
	counted bool
	// held is true while our finalizer holds up its deletion.
	held bool
	ttl  ttlCorrections
}

// of returns the entry of a Job, which may be new.
func (l *Ledger) of(job types.UID) *entry {
	if l.jobs == nil {
		l.jobs = map[types.UID]*entry{}
	}
	if l.jobs[job] == nil {
		l.jobs[job] = &entry{}
	}
	return l.jobs[job]
}

func keyOf(job *batchv1.Job) types.NamespacedName {
	return types.NamespacedName{Namespace: job.Namespace, Name: job.Name}
}

// Watched notes the Job as the watch shows it now.
func (l *Ledger) Watched(job *batchv1.Job) {
	outcome := jobstatus.Of(job)
	l.mu.Lock()
	defer l.mu.Unlock()
	if outcome.Finished() && !plan.Stored(job) {
		l.of(job.UID).finished = outcome.FinishTime
		return
	}
	l.notWaiting(job.UID)
}

// notWaiting notes that the Job is not to be stored any more.
func (l *Ledger) notWaiting(job types.UID) {
	known := l.jobs[job]
	if known == nil {
		return
	}
	if known.finished = (time.Time{}); known.empty() {
		delete(l.jobs, job)
	}
}

// empty reports whether the entry has nothing that a new one would not have.
func (e *entry) empty() bool {
	return e.finished.IsZero() && e.tries == 0 && e.waiting == nil && e.refusals == 0 && e.looks == 0 &&
		!e.unstored && e.reported.IsZero() && !e.counted && !e.held && e.ttl.empty()
}

// Backlog returns how many finished Jobs do not say yet that they are stored, those
// included whose turn has not come, and for how long the oldest has been finished.
func (l *Ledger) Backlog(now time.Time) (jobs int, oldest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, known := range l.jobs {
		if !known.finished.IsZero() {
			jobs++
			oldest = max(oldest, now.Sub(known.finished))
		}
	}
	return jobs, oldest
}

// Left notes that the Job, as the watch showed it last, left the watch. If it had
// finished and has no status, Vanished returns it until it is known what became of it.
func (l *Ledger) Left(job *batchv1.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notWaiting(job.UID)
	l.deletions.left(job)
	if jobstatus.Of(job).Finished() && !plan.Stored(job) {
		l.putVanished(keyOf(job), job)
	}
}

// Vanished returns the Jobs that had this name and left the watch without results, and
// forgets them.
func (l *Ledger) Vanished(key types.NamespacedName) []*batchv1.Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs := l.vanished[key]
	delete(l.vanished, key)
	return jobs
}

// PutBack has Vanished return these Jobs again: it could not be found out what became
// of them.
func (l *Ledger) PutBack(key types.NamespacedName, jobs ...*batchv1.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.putVanished(key, jobs...)
}

func (l *Ledger) putVanished(key types.NamespacedName, jobs ...*batchv1.Job) {
	if l.vanished == nil {
		l.vanished = map[types.NamespacedName][]*batchv1.Job{}
	}
	l.vanished[key] = append(l.vanished[key], jobs...)
}

// SetHeld notes whether our finalizer holds up the deletion of the Job, and returns how
// many Jobs it holds up.
func (l *Ledger) SetHeld(job types.UID, held bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch known := l.jobs[job]; {
	case held && (known == nil || !known.held):
		l.of(job).held = true
		l.held++
	case !held && known != nil && known.held:
		known.held = false
		l.held--
	}
	return l.held
}

// Forget ends the entry of a Job that is gone, or left alone, and returns how many
// deletions our finalizer holds up then.
func (l *Ledger) Forget(job types.UID) (held int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.jobs[job]; known != nil && known.held {
		l.held--
	}
	delete(l.jobs, job)
	return l.held
}
