package job

import (
	"context"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/lru"

	"github.com/job-handler/job-handler/internal/api"
)

// rememberedLabels is of how many Jobs it is remembered that their label was given back.
const rememberedLabels = 4_096

// labelFights remembers the Jobs that got back a label that another client removed.
// What else is known of such a Job is forgotten, since it has left the cache. The zero
// value is ready; it is safe for concurrent use.
type labelFights struct {
	mu sync.Mutex
	// byID holds corrections.
	byID *lru.Cache
}

// left returns for how long the Job stays without its label, 0 if it may have it back.
func (l *labelFights) left(job *batchv1.Job, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(job).left(now)
}

// gave notes that the Job got its label back.
func (l *labelFights) gave(job *batchv1.Job, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	given := l.of(job).and(now)
	if l.byID == nil {
		l.byID = lru.New(rememberedLabels)
	}
	l.byID.Add(job.UID, given)
}

func (l *labelFights) of(job *batchv1.Job) corrections {
	if l.byID == nil {
		return nil
	}
	found, _ := l.byID.Get(job.UID)
	given, _ := found.(corrections)
	return given
}

// givesLabel reports whether desired has the label that job lacks.
func givesLabel(job, desired *batchv1.Job) bool {
	return job.Labels[api.EnabledLabel] != api.True && desired.Labels[api.EnabledLabel] == api.True
}

// warnOfLabel warns of a label that is left off, and what is lost meanwhile.
func (r *Reconciler) warnOfLabel(ctx context.Context, job *batchv1.Job) {
	r.warn(ctx, job, "label", "Another client keeps removing the label "+api.EnabledLabel+", so it is left off for up to an hour: "+
		"until the Job has it again, its results and logs are not stored, and if the Job is deleted before, they are lost. "+
		"To opt the Job out, set the label to "+api.False)
}
