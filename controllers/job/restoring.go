package job

import (
	"errors"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

const (
	// restoringAtOnce is how many Jobs may have their stored captures unpacked at the
	// same time. That takes memory and CPU time, and anybody may store some.
	restoringAtOnce = 4
	// restoreRecheck is how soon a Job is looked at again that could not.
	restoreRecheck = time.Second
)

// errRestoring says that captures of other Jobs are being unpacked.
var errRestoring = errors.New("captures of other Jobs are being unpacked")

// restoring are the namespaces in which captures of a Job are being unpacked: one Job
// at a time in each, so that one namespace does not keep others waiting. The zero
// value is ready.
type restoring struct {
	mu         sync.Mutex
	namespaces sets.Set[string]
}

// begin reports whether captures of a Job in the namespace may be unpacked, until end
// is called.
func (r *restoring) begin(namespace string) (end func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isBusy(namespace) {
		return nil, false
	}
	if r.namespaces == nil {
		r.namespaces = sets.Set[string]{}
	}
	r.namespaces.Insert(namespace)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.namespaces.Delete(namespace)
	}, true
}

// busy reports whether begin would fail.
func (r *restoring) busy(namespace string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.isBusy(namespace)
}

func (r *restoring) isBusy(namespace string) bool {
	return r.namespaces.Has(namespace) || r.namespaces.Len() >= restoringAtOnce
}

// awaitRestoring returns after how long to look again at a Job whose captures cannot
// be unpacked now, 0 if they can, or if there are none: its logs would be read in vain.
func (r *Reconciler) awaitRestoring(job *batchv1.Job, kind string, pods []*corev1.Pod) time.Duration {
	if r.mayHaveSpilled(job, kind, pods) && r.restoring.busy(job.Namespace) {
		return restoreRecheck
	}
	return 0
}

// poison are the objects that were refused when captures of a Job were restored: they
// are immutable, so each is unpacked once. The zero value is ready.
type poison struct {
	mu   sync.Mutex
	byID map[types.UID]map[poisonKey]error
}

// poisonKey is the kind of an object, and its number.
type poisonKey struct {
	kind   string
	number int
}

// add notes why an object was refused.
func (p *poison) add(job types.UID, kind string, number int, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = map[types.UID]map[poisonKey]error{}
	}
	if p.byID[job] == nil {
		p.byID[job] = map[poisonKey]error{}
	}
	p.byID[job][poisonKey{kind, number}] = why
}

// of returns why an object was refused, nil if it was not.
func (p *poison) of(job types.UID, kind string, number int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byID[job][poisonKey{kind, number}]
}

// forget drops what is known of a Job.
func (p *poison) forget(job types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byID, job)
}
