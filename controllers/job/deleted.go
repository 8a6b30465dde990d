package job

import (
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// deletedMemory is for how long a Job is remembered that was deleted: until the
// last change of it has been looked at, which waits in the queue meanwhile.
const deletedMemory = time.Minute

// deleted remembers which Jobs this process has just deleted. The report of a Job
// is a change, which has the Job be looked at once more, and by then it is gone, or
// the cache does not know yet that it is: asking the API server about it, or
// deleting it again, would be two requests for nothing. The zero value is ready.
type deleted struct {
	mu    sync.Mutex
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

// note notes that the API server has taken the deletion of job.
func (d *deleted) note(job *batchv1.Job, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byKey == nil {
		d.byKey = map[types.NamespacedName]deletion{}
	}
	this := deletion{key: client.ObjectKeyFromObject(job), uid: job.UID, at: now}
	d.byKey[this.key] = this
	d.order = append(d.order, this)
	for now.Sub(d.order[0].at) > deletedMemory {
		if first := d.order[0]; d.byKey[first.key] == first {
			delete(d.byKey, first.key)
		}
		d.order = d.order[1:]
	}
}

// has reports whether the Job of this name was deleted, so that it is for nobody to
// ask about if the cache has none.
func (d *deleted) has(key types.NamespacedName) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.byKey[key]
	return known
}

// awaited reports whether job was deleted, and the cache is soon to tell of it. One
// that stays, for somebody's finalizer, is told of too.
func (d *deleted) awaited(job *batchv1.Job, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, is := d.byKey[client.ObjectKeyFromObject(job)]
	return is && known.uid == job.UID && job.DeletionTimestamp == nil && now.Sub(known.at) < cacheCatchUpDeadline
}

// left notes that job left the cache. Where it is another one of the same name,
// it is to be looked at.
func (d *deleted) left(job *batchv1.Job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if key := client.ObjectKeyFromObject(job); d.byKey[key].uid != job.UID {
		delete(d.byKey, key)
	}
}
