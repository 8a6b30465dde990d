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
	// stepJobs is how many Jobs of a namespace may wait before its next ones come a step
	// after those of other namespaces.
	stepJobs = 10
	// lowestStep keeps changed Jobs before re-checks, which have recheckPriority.
	lowestStep = 9
)

// fairQueue keeps a busy namespace from starving others. The priority of a Job depends on
// how many Jobs of its namespace waited when it was added. A Job of a namespace with few
// is behind at most stepJobs of each other namespace, and behind those that are being
// handled. Within a step the order is first come, first served.
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

// AddWithOpts implements priorityqueue.PriorityQueue. An item that is delayed, or that
// has a priority already, keeps it.
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

// step records that a Job waits, and returns its step.
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
