package ledger

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/lru"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// maxCorrections is how often in correctionWindow a field of one Job is corrected
	// after another client changed it. Two writers that both insist would else write at
	// the speed of the watch.
	maxCorrections   = 3
	correctionWindow = time.Hour
	// rememberedLabels is of how many Jobs it is remembered that their label was put back.
	rememberedLabels = 4_096
)

// corrections are when a field of one Job was corrected last, the oldest first: at most
// maxCorrections times.
type corrections []time.Time

// left returns for how long the field is left as another client set it, 0 if it may be
// corrected.
func (c corrections) left(now time.Time) time.Duration {
	if len(c) < maxCorrections {
		return 0
	}
	return max(0, correctionWindow-now.Sub(c[0]))
}

// and returns the corrections with one more.
func (c corrections) and(now time.Time) corrections {
	c = append(c, now)
	return c[max(0, len(c)-maxCorrections):]
}

// ttlCorrections is what is known of a Job whose TTL this process writes.
type ttlCorrections struct {
	// wrote is the TTL that this process wrote last, nil for none; it means nothing
	// unless written is true.
	wrote     *int32
	written   bool
	corrected corrections
	// yielded is when the TTL was left to the Job's own controller.
	yielded time.Time
}

func (t *ttlCorrections) empty() bool {
	return !t.written && t.corrected == nil && t.yielded.IsZero()
}

// LeaveTTL reports whether the Job's TTL is left as another writer set it. A controller
// that owns the Job and took a raised TTL back is known to insist.
func (l *Ledger) LeaveTTL(job *batchv1.Job, now time.Time) bool {
	insists := policy.OtherController(job) && policy.RecordIsVoid(job)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.jobs[job.UID] == nil && !insists {
		return false
	}
	ttl := &l.of(job.UID).ttl
	if insists {
		ttl.yielded = now
	}
	return ttl.corrected.left(now) > 0 || !ttl.yielded.IsZero() && now.Sub(ttl.yielded) < correctionWindow
}

// WroteTTL notes that this process changed the Job's TTL, and counts that as a
// correction if another client had changed it since the last time.
func (l *Ledger) WroteTTL(from, to *batchv1.Job, now time.Time) {
	before, after := from.Spec.TTLSecondsAfterFinished, to.Spec.TTLSecondsAfterFinished
	if ptr.Equal(before, after) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ttl := &l.of(from.UID).ttl
	if ttl.written && !ptr.Equal(before, ttl.wrote) {
		ttl.corrected = ttl.corrected.and(now)
	}
	ttl.wrote, ttl.written = after, true
}

// labelCorrections are the Jobs that got back a label that another client removed. They
// are not in their entries, which end when a Job leaves the watch with its label.
type labelCorrections struct {
	// byID holds corrections.
	byID *lru.Cache
}

func (c *labelCorrections) of(job *batchv1.Job) corrections {
	if c.byID == nil {
		return nil
	}
	found, _ := c.byID.Get(job.UID)
	given, _ := found.(corrections)
	return given
}

// LeaveLabel returns for how long the Job stays without its label, 0 if it may have it
// back.
func (l *Ledger) LeaveLabel(job *batchv1.Job, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.labels.of(job).left(now)
}

// GaveLabel notes that the Job got its label back.
func (l *Ledger) GaveLabel(job *batchv1.Job, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	given := l.labels.of(job).and(now)
	if l.labels.byID == nil {
		l.labels.byID = lru.New(rememberedLabels)
	}
	l.labels.byID.Add(job.UID, given)
}
