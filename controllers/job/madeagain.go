package job

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// soonAgain is how soon after our deletion a Job of the same name counts as made
	// again. Tools that keep a Job as its source describes it look every few minutes
	// at the latest; people and pipelines that run a Job again take longer, or use
	// other names.
	soonAgain = 5 * time.Minute
	// onceTooOften is how often in a row that may happen. The first time may be a
	// person who tries something out.
	onceTooOften = 2
	// Names of deleted Jobs that are remembered, and of those that were made again.
	// The latter are few, and their Jobs may run for long.
	rememberedDeletions = 16_384
	rememberedAgain     = 4_096
)

// madeAgain remembers the names under which this process deleted Jobs, to notice a
// tool that makes a Job again as often as it is deleted: the Job would run again and
// again. Marks of such tools are known (package policy), of some; this is for all
// others. It knows names only, since such a tool makes the same Job under the same
// name; the Jobs of a CronJob have different ones. A restart forgets. The zero value
// is ready; it is safe for concurrent use.
type madeAgain struct {
	once             sync.Once
	deletions, again *lru.Cache
}

// nameDeletion is the last deletion of a Job of one name that this process brought
// about, or the time at which it is due.
type nameDeletion struct {
	uid types.UID
	at  time.Time
	// times is how often in a row the deleted Job and those before it were made again
	// soon after a deletion.
	times int
}

func (m *madeAgain) ready() {
	m.once.Do(func() { m.deletions, m.again = lru.New(rememberedDeletions), lru.New(rememberedAgain) })
}

// deleted notes that job was deleted.
func (m *madeAgain) deleted(job *batchv1.Job, now time.Time) {
	m.ready()
	key := client.ObjectKeyFromObject(job)
	this := nameDeletion{uid: job.UID, at: now, times: m.times(job)}
	if this.times > 0 {
		m.again.Add(key, this)
		return
	}
	m.again.Remove(key)
	m.deletions.Add(key, this)
}

// delayed notes that Kubernetes deletes a stored Job by the TTL that its policy, not
// its user, gave it.
func (m *madeAgain) delayed(before, stored *batchv1.Job) {
	ttl := stored.Spec.TTLSecondsAfterFinished
	if ttl != nil && !ptr.Equal(ttl, policy.OwnTTL(before)) {
		m.deleted(stored, jobstatus.Of(stored).FinishTime.Add(time.Duration(*ttl)*time.Second))
	}
}

// times returns how often in a row Jobs of this name, this one included, were made
// again soon after this process deleted one.
func (m *madeAgain) times(job *batchv1.Job) int {
	m.ready()
	key := client.ObjectKeyFromObject(job)
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

// warnOfMadeAgain warns of a Job that is kept for no other cause than that another
// client makes it again.
func (r *Reconciler) warnOfMadeAgain(ctx context.Context, observed plan.Observation, capture string) {
	if !observed.MadeAgain {
		return
	}
	outcome := jobstatus.Of(observed.Job)
	otherwise := observed
	otherwise.MadeAgain = false
	fate, without := plan.FateOf(observed, outcome, capture), plan.FateOf(otherwise, outcome, capture)
	if fate.DeleteNow || fate.TTL != nil || !without.DeleteNow && without.TTL == nil {
		return
	}
	r.warn(ctx, observed.Job, "made-again", fmt.Sprintf(
		"Another client creates this Job again after each deletion, and it runs again each time, so it is kept. "+
			"To have it deleted all the same, set %s on the Job", api.DeleteAfterSuccessAnnotation))
}
