// Package holdings counts how much space results take in each namespace, and
// remembers which are deleted next, between two lists. The Job controller reports
// what it stores, retention reports what it finds and deletes. The package keeps
// numbers and names only. It must not import a client.
package holdings

import (
	"container/heap"
	"maps"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/job-handler/job-handler/internal/retain"
)

const (
	// mostDue bounds how many results are remembered that are to go soon, at some
	// 300 bytes each; others wait for the next list.
	mostDue = 10_000
	// tellEvery is how often a namespace is told of as being above its budget.
	tellEvery = time.Hour
)

// Options say how much may be held, and how far ahead is remembered what is to go.
type Options struct {
	retain.Budgets
	// Horizon is the time between two lists.
	Horizon time.Duration
}

// Metrics are set to how much space results take, as metrics.Retention does.
type Metrics interface {
	// SetBudgets sets how much space results may take.
	SetBudgets(budgets retain.Budgets)
	// SetBytes sets how much space results take in a namespace.
	SetBytes(namespace string, bytes int64)
	// ResetBytes sets how much space results take in every namespace that has any.
	ResetBytes(bytes map[string]int64)
	// Shrunk counts a run with less log text stored because of a budget.
	Shrunk(budget retain.Budget)
}

// Holdings is what is held. New makes one; nil holds nothing, and has no bound.
type Holdings struct {
	options Options
	clock   clock.PassiveClock
	metrics Metrics

	mu sync.Mutex
	// bytes is what results take in the namespaces that have any, all what they take
	// together; nil until they were counted.
	bytes map[string]int64
	all   int64
	// added and fresh are what was stored since Begin; nil where nothing is counted.
	added map[string]int64
	fresh []retain.Due
	due   dueHeap
	told  map[string]time.Time
	// sooner has room for one.
	sooner chan struct{}
}

// New returns empty holdings.
func New(options Options, clk clock.PassiveClock, m Metrics) *Holdings {
	m.SetBudgets(options.Budgets)
	return &Holdings{options: options, clock: clk, metrics: m, told: map[string]time.Time{}, sooner: make(chan struct{}, 1)}
}

// Stored notes that an object of a kind of results was created: results, a part of
// them, or captures.
func (h *Holdings) Stored(kind string, object metav1.Object) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	bytes := retain.Bytes(object)
	if h.added != nil {
		h.added[object.GetNamespace()] += bytes
	}
	h.add(object.GetNamespace(), bytes)
	at, expires, err := retain.Expiry(object)
	if err != nil || !expires || at.After(h.clock.Now().Add(h.options.Horizon)) {
		return
	}
	h.remember(retain.Due{Ref: retain.RefOf(kind, object), At: at})
}

// Freed notes that objects of ours were deleted in a namespace, with so many bytes.
func (h *Holdings) Freed(namespace string, bytes int64) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(namespace, -bytes)
}

// add changes what is counted. Before the first count nothing is.
func (h *Holdings) add(namespace string, bytes int64) {
	if h.bytes == nil {
		return
	}
	before := h.bytes[namespace]
	after := max(0, before+bytes)
	h.all += after - before
	if h.bytes[namespace] = after; after == 0 {
		delete(h.bytes, namespace)
	}
	h.metrics.SetBytes(namespace, after)
}

// Begin says that everything is about to be listed. What is stored from now on is
// taken not to be in the list.
func (h *Holdings) Begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.added, h.fresh = map[string]int64{}, nil
}

// Counted says what was found since Begin: what results take in each namespace,
// which holdings keep, and which are to go before the horizon.
func (h *Holdings) Counted(bytes map[string]int64, soon []retain.Due) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for namespace, more := range h.added {
		bytes[namespace] += more
	}
	h.bytes, h.added, h.all = bytes, nil, 0
	maps.DeleteFunc(bytes, func(_ string, held int64) bool { return held <= 0 })
	for _, held := range bytes {
		h.all += held
	}
	h.metrics.ResetBytes(bytes)
	h.due = nil
	for _, due := range soon {
		h.due.keep(due)
	}
	for _, due := range h.fresh {
		h.due.keep(due)
	}
	h.fresh = nil
}

// Over returns the budget for which little is kept of new logs in a namespace;
// retain.WithinBudget until results were counted.
func (h *Holdings) Over(namespace string) retain.Budget {
	if h == nil {
		return retain.WithinBudget
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.options.Over(h.bytes[namespace], h.all, len(h.bytes))
}

// Shrunk notes that less was kept of a run for this budget, and reports whether to
// send a Warning: once an hour for a namespace.
func (h *Holdings) Shrunk(namespace string, budget retain.Budget) (tell bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.metrics.Shrunk(budget)
	now := h.clock.Now()
	if last, told := h.told[namespace]; told && now.Sub(last) < tellEvery {
		return false
	}
	for other, last := range h.told {
		if now.Sub(last) >= tellEvery {
			delete(h.told, other)
		}
	}
	h.told[namespace] = now
	return true
}

// Budgets are what results may take.
func (h *Holdings) Budgets() retain.Budgets { return h.options.Budgets }

// Postpone has results that could not go yet be looked at again at a time.
func (h *Holdings) Postpone(due retain.Due) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remember(due)
}

func (h *Holdings) remember(due retain.Due) {
	if h.added != nil && len(h.fresh) < mostDue {
		h.fresh = append(h.fresh, due)
	}
	if !h.due.keep(due) {
		return
	}
	select {
	case h.sooner <- struct{}{}:
	default:
	}
}

// Next returns when the next results are to go, and whether any are.
func (h *Holdings) Next() (time.Time, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.due) == 0 {
		return time.Time{}, false
	}
	return h.due[0].At, true
}

// Sooner says that Next may return an earlier time than before.
func (h *Holdings) Sooner() <-chan struct{} { return h.sooner }

// Take returns the results that are to go by now, the earliest first, and
// forgets them.
func (h *Holdings) Take(now time.Time) []retain.Due {
	h.mu.Lock()
	defer h.mu.Unlock()
	var taken []retain.Due
	for len(h.due) > 0 && !h.due[0].At.After(now) {
		due, isDue := heap.Pop(&h.due).(retain.Due)
		if isDue {
			taken = append(taken, due)
		}
	}
	return taken
}
