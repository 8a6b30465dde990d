package ledger

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
)

// deletedMemory is for how long a deletion is remembered: until the last change of the
// Job has been looked at, which waits in the queue meanwhile.
const deletedMemory = time.Minute

// deletions are the Jobs that this process has just deleted. The report of a Job is a
// change, so the Job is looked at once more. By then it is gone, or the cache does not
// know yet that it is: to ask the API server about it, or to delete it again, would be
// two requests for nothing.
type deletions struct {
	byKey map[types.NamespacedName]deletion
	// order is by when they were deleted.
	order []deletion
}

// deletion is a Job that was deleted.
type deletion struct {
	key types.NamespacedName
	uid types.UID
	at  time.Time
}

// left notes that job left the watch. Where the deletion was of another Job of this
// name, this one is to be looked at.
func (d *deletions) left(job *batchv1.Job) {
	if key := keyOf(job); d.byKey[key].uid != job.UID {
		delete(d.byKey, key)
	}
}

// Deleted notes that the API server has taken the deletion of the Job.
func (l *Ledger) Deleted(job *batchv1.Job, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := &l.deletions
	if d.byKey == nil {
		d.byKey = map[types.NamespacedName]deletion{}
	}
	this := deletion{key: keyOf(job), uid: job.UID, at: now}
	d.byKey[this.key] = this
	d.order = append(d.order, this)
	for now.Sub(d.order[0].at) > deletedMemory {
		if first := d.order[0]; d.byKey[first.key] == first {
			delete(d.byKey, first.key)
		}
		d.order = d.order[1:]
	}
}

// WasDeleted reports whether this process deleted the Job of this name, so that a cache
// without it needs no second look.
func (l *Ledger) WasDeleted(key types.NamespacedName) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.deletions.byKey[key]
	return known
}

// StillCached reports whether this process deleted job and the cache will soon say so. A
// Job that stays, since somebody's finalizer holds it, changes in the cache too.
func (l *Ledger) StillCached(job *batchv1.Job, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, is := l.deletions.byKey[keyOf(job)]
	return is && known.uid == job.UID && job.DeletionTimestamp == nil && now.Sub(known.at) < CatchUp
}
