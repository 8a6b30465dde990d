package job

import (
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/plan"
)

// backlog are the finished Jobs that do not say yet that they are stored, as the
// watch tells of them: those included whose turn has not come. The zero value is
// ready.
type backlog struct {
	mu sync.Mutex
	// finished is when each of them was.
	finished map[types.UID]time.Time
}

// note takes note of the Job as it is now.
func (b *backlog) note(job *batchv1.Job) {
	outcome := jobstatus.Of(job)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !outcome.Finished() || plan.Stored(job):
		delete(b.finished, job.UID)
	case b.finished == nil:
		b.finished = map[types.UID]time.Time{job.UID: outcome.FinishTime}
	default:
		b.finished[job.UID] = outcome.FinishTime
	}
}

func (b *backlog) gone(job types.UID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.finished, job)
}

// Backlog returns how many Jobs are to be stored, and for how long the oldest of
// them has been finished.
func (r *Reconciler) Backlog() metrics.Backlog {
	now := r.Clock.Now()
	r.backlog.mu.Lock()
	defer r.backlog.mu.Unlock()
	state := metrics.Backlog{Jobs: len(r.backlog.finished)}
	for _, finished := range r.backlog.finished {
		state.Oldest = max(state.Oldest, now.Sub(finished))
	}
	return state
}
