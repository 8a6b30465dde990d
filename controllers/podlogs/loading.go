package podlogs

import (
	"errors"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// loadingAtOnce is how many Jobs have saved captures unpacked concurrently. Unpacking takes
// memory and CPU time, and any user can create such objects.
const loadingAtOnce = 4

// ErrBusy says that a Job's captures cannot be unpacked now, since those of other Jobs are.
var ErrBusy = errors.New("captures of other Jobs are being unpacked")

// loading are the namespaces with a Job whose captures are being unpacked: one Job at a
// time in each, so that a busy namespace does not starve others. The zero value is ready.
type loading struct {
	mu         sync.Mutex
	namespaces sets.Set[string]
}

// begin reports whether captures of a Job in the namespace may be unpacked, until end
// is called.
func (l *loading) begin(namespace string) (end func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isBusy(namespace) {
		return nil, false
	}
	if l.namespaces == nil {
		l.namespaces = sets.Set[string]{}
	}
	l.namespaces.Insert(namespace)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.namespaces.Delete(namespace)
	}, true
}

// busy reports whether begin would fail.
func (l *loading) busy(namespace string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.isBusy(namespace)
}

func (l *loading) isBusy(namespace string) bool {
	return l.namespaces.Has(namespace) || l.namespaces.Len() >= loadingAtOnce
}

// Busy reports whether captures of the Job, whose pods these are, must be unpacked and
// cannot be now. Reading its logs would be in vain.
func (k *Keeper) Busy(job *batchv1.Job, kind string, pods []*corev1.Pod) bool {
	return k.mayBeSaved(job, kind, pods) && k.loading.busy(job.Namespace)
}

// refused are objects that turned out not to hold valid captures of a Job. They are
// immutable, so each is unpacked once. The zero value is ready.
type refused struct {
	mu   sync.Mutex
	byID map[types.UID]map[refusedKey]error
}

// refusedKey is the kind of an object, and its number.
type refusedKey struct {
	kind   string
	number int
}

// add notes why an object was refused.
func (r *refused) add(job types.UID, kind string, number int, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = map[types.UID]map[refusedKey]error{}
	}
	if r.byID[job] == nil {
		r.byID[job] = map[refusedKey]error{}
	}
	r.byID[job][refusedKey{kind, number}] = why
}

// of returns why an object was refused, nil if it was not.
func (r *refused) of(job types.UID, kind string, number int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[job][refusedKey{kind, number}]
}

// forget drops what is known of a Job.
func (r *refused) forget(job types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, job)
}
