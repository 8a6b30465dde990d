package job

import (
	"sync"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// stepJobs is how many Jobs of a namespace may wait before further ones of it
	// come a step after those of others.
	stepJobs = 10
	// lowestStep keeps what changed before re-checks, which have recheckPriority.
	lowestStep = 9
)

// fairQueue has a namespace with many Jobs waiting not hold up the others: which
// Job comes next goes by how many of its namespace waited when it was added. A Job
// of a namespace with few is behind stepJobs of each of the others at most, and
// those that are being handled. Within a step it is first come, first served.
type fairQueue struct {
	priorityqueue.PriorityQueue[reconcile.Request]

	mu      sync.Mutex
	waiting map[string]sets.Set[types.NamespacedName]
}

// newFairQueue returns the queue of the controller called name.
func newFairQueue(log logr.Logger) func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
		queue := priorityqueue.New(name, func(opts *priorityqueue.Opts[reconcile.Request]) {
			opts.Log, opts.RateLimiter = log.WithValues("controller", name), limiter
		})
		return &fairQueue{PriorityQueue: queue, waiting: map[string]sets.Set[types.NamespacedName]{}}
	}
}

// Add implements workqueue.TypedInterface.
func (q *fairQueue) Add(item reconcile.Request) {
	q.AddWithOpts(priorityqueue.AddOpts{}, item)
}

// AddWithOpts implements priorityqueue.PriorityQueue. What is to come later, or
// has a priority from before, keeps it.
func (q *fairQueue) AddWithOpts(opts priorityqueue.AddOpts, items ...reconcile.Request) {
	base := 0
	if opts.Priority != nil {
		base = *opts.Priority
	}
	if opts.After > 0 || opts.RateLimited || base != 0 && base != handler.LowPriority {
		q.PriorityQueue.AddWithOpts(opts, items...)
		return
	}
	for _, item := range items {
		opts.Priority = new(base - q.step(item.NamespacedName))
		q.PriorityQueue.AddWithOpts(opts, item)
	}
}

// step notes that a Job waits and returns how many steps it comes after others.
func (q *fairQueue) step(job types.NamespacedName) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.waiting[job.Namespace]
	if waiting == nil {
		waiting = sets.Set[types.NamespacedName]{}
		q.waiting[job.Namespace] = waiting
	}
	before := waiting.Len()
	if waiting.Has(job) {
		before--
	}
	waiting.Insert(job)
	return min(before/stepJobs, lowestStep)
}

// Get implements workqueue.TypedInterface.
func (q *fairQueue) Get() (reconcile.Request, bool) {
	item, _, shutdown := q.GetWithPriority()
	return item, shutdown
}

// GetWithPriority implements priorityqueue.PriorityQueue.
func (q *fairQueue) GetWithPriority() (reconcile.Request, int, bool) {
	item, priority, shutdown := q.PriorityQueue.GetWithPriority()
	q.mu.Lock()
	defer q.mu.Unlock()
	if waiting := q.waiting[item.Namespace]; waiting.Delete(item.NamespacedName).Len() == 0 {
		delete(q.waiting, item.Namespace)
	}
	return item, priority, shutdown
}
