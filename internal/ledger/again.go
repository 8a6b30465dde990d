package ledger

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// soonAgain is how soon after our deletion a Job of the same name counts as created
	// again. Tools that keep a Job as its source describes it look every few minutes at
	// the latest. People and pipelines that run a Job again take longer, or use other
	// names.
	soonAgain = 5 * time.Minute
	// onceTooOften is how often in a row that may happen. The first time may be a person
	// who tries something out.
	onceTooOften = 2
	// Names of deleted Jobs that are remembered, and of those that were created again.
	// The latter are few, and their Jobs may run for long.
	rememberedDeletions = 16_384
	rememberedAgain     = 4_096
)

// madeAgain remembers the names under which this process deleted Jobs, to notice a tool
// that creates a Job again after each deletion: the Job would run again and again. Marks
// of some such tools are known (package policy); this is for all others. It knows names
// only, since such a tool creates the same Job under the same name; the Jobs of a
// CronJob have different ones.
type madeAgain struct {
	deletions, again *lru.Cache
}

// nameDeletion is the last deletion of a Job of one name that this process caused, or
// the time at which it is due.
type nameDeletion struct {
	uid types.UID
	at  time.Time
	// times is how often in a row the deleted Job and those before it were created again
	// soon after a deletion.
	times int
}

func (m *madeAgain) ready() {
	if m.deletions == nil {
		m.deletions, m.again = lru.New(rememberedDeletions), lru.New(rememberedAgain)
	}
}

func (m *madeAgain) deleted(job *batchv1.Job, at time.Time) {
	m.ready()
	key := keyOf(job)
	this := nameDeletion{uid: job.UID, at: at, times: m.times(job)}
	if this.times > 0 {
		m.again.Add(key, this)
		return
	}
	m.again.Remove(key)
	m.deletions.Add(key, this)
}

// times returns how often in a row Jobs of this name, this one included, were created
// again soon after this process deleted one.
func (m *madeAgain) times(job *batchv1.Job) int {
	m.ready()
	key := keyOf(job)
	found, known := m.again.Get(key)
	if !known {
		found, known = m.deletions.Get(key)
	}
	last, is := found.(nameDeletion)
	if !known || !is || last.uid == job.UID || job.CreationTimestamp.Sub(last.at) > soonAgain {
		return 0
	}
	m.again.Add(key, last)
	return last.times + 1
}

// CausedDeletion notes that a Job was deleted because this process asked for it, and not
// because it was gone already.
func (l *Ledger) CausedDeletion(job *batchv1.Job, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.again.deleted(job, now)
}

// GaveTTL notes that Kubernetes will delete a stored Job by the TTL that its policy, not
// its user, gave it. before is the Job without it.
func (l *Ledger) GaveTTL(before, stored *batchv1.Job) {
	ttl := stored.Spec.TTLSecondsAfterFinished
	if ttl != nil && !ptr.Equal(ttl, policy.OwnTTL(before)) {
		l.CausedDeletion(stored, jobstatus.Of(stored).FinishTime.Add(time.Duration(*ttl)*time.Second))
	}
}

// MadeAgain reports whether another client creates this Job again after each deletion.
func (l *Ledger) MadeAgain(job *batchv1.Job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.again.times(job) >= onceTooOften
}
