// Package holdings keeps count of what results take in each namespace, and of
// which of them are to go next, between the lists from which that is known: the
// Job controller says what it stores, retention what it finds and deletes. It
// keeps numbers and names only, and calls no API.
package holdings

import (
	"container/heap"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/retain"
)

const (
	// mostDue bounds how many results are remembered that are to go soon, at some
	// 300 bytes each; others wait for the next list.
	mostDue = 10_000
	// tellEvery is how often a namespace is told of as being above its budget.
	tellEvery = time.Hour
)

// Options say how much a namespace may hold, and how far ahead is remembered what
// is to go.
type Options struct {
	// NamespaceBytes is what results may take in a namespace; 0: there is no bound.
	NamespaceBytes int64
	// Horizon is the time between two lists.
	Horizon time.Duration
}

// Holdings is what is held. New makes one; nil holds nothing, and has no bound.
type Holdings struct {
	options Options
	clock   clock.PassiveClock
	metrics *metrics.Retention

	mu sync.Mutex
	// bytes is what results take in a namespace; nil until they were counted.
	bytes map[string]int64
	// added and fresh are what was stored since Begin; nil where nothing is counted.
	added map[string]int64
	fresh []retain.Due
	due   dueHeap
	told  map[string]time.Time
	// sooner has room for one.
	sooner chan struct{}
}

// New returns empty holdings.
func New(options Options, clk clock.PassiveClock, m *metrics.Retention) *Holdings {
	m.SetBudget(options.NamespaceBytes)
	return &Holdings{options: options, clock: clk, metrics: m, told: map[string]time.Time{}, sooner: make(chan struct{}, 1)}
}

// Stored notes that an object of a kind of results was created.
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

// Deleted notes that an object of ours was deleted.
func (h *Holdings) Deleted(object metav1.Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(object.GetNamespace(), -retain.Bytes(object))
}

// add changes what is counted. Before the first count nothing is.
func (h *Holdings) add(namespace string, bytes int64) {
	if h.bytes == nil {
		return
	}
	h.bytes[namespace] = max(0, h.bytes[namespace]+bytes)
	h.metrics.SetBytes(namespace, h.bytes[namespace])
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
	h.bytes, h.added = bytes, nil
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

// Over reports whether the results of a namespace take all that they may, or
// more; false until they were counted.
func (h *Holdings) Over(namespace string) bool {
	if h == nil || h.options.NamespaceBytes == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes[namespace] >= h.options.NamespaceBytes
}

// Shrunk notes that less was kept of a run for that reason, and reports whether
// to tell of it: once an hour for a namespace.
func (h *Holdings) Shrunk(namespace string) (tell bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.metrics.Shrunk()
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

// NamespaceBytes is what results may take in a namespace.
func (h *Holdings) NamespaceBytes() int64 { return h.options.NamespaceBytes }

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
