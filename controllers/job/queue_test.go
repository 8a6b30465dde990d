package job

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/job-handler/job-handler/internal/retry"
)

func aQueue(t *testing.T) *fairQueue {
	t.Helper()
	queue, isFair := newFairQueue(logr.Discard())(t.Name(), retry.Limiter()).(*fairQueue)
	if !isFair {
		t.Fatal("another queue")
	}
	t.Cleanup(queue.ShutDown)
	return queue
}

func request(namespace string, i int) reconcile.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: fmt.Sprint(i)}}
}

// place returns how many come before the first of namespace.
func place(t *testing.T, queue *fairQueue, namespace string) int {
	t.Helper()
	for before := 0; ; before++ {
		item, shutdown := queue.Get()
		if shutdown {
			t.Fatalf("nothing of %s", namespace)
		}
		queue.Done(item)
		if item.Namespace == namespace {
			return before
		}
	}
}

func TestQueueIsFairToNamespaces(t *testing.T) {
	for name, test := range map[string]struct {
		opts  priorityqueue.AddOpts
		tasks map[string]int
		most  int
	}{
		"one busy namespace":           {tasks: map[string]int{"busy": 10_000}, most: stepJobs},
		"three busy namespaces":        {tasks: map[string]int{"a": 1000, "b": 1000, "c": 1000}, most: 3 * stepJobs},
		"at the start":                 {opts: priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, tasks: map[string]int{"busy": 1000}, most: stepJobs},
		"a namespace with few of them": {tasks: map[string]int{"idle": stepJobs - 1}, most: stepJobs - 1},
	} {
		t.Run(name, func(t *testing.T) {
			queue := aQueue(t)
			for namespace, count := range test.tasks {
				for i := range count {
					queue.AddWithOpts(test.opts, request(namespace, i))
				}
			}
			queue.AddWithOpts(test.opts, request("other", 0))
			if got := place(t, queue, "other"); got > test.most {
				t.Errorf("%d come before it, want at most %d", got, test.most)
			}
		})
	}
}

func TestQueueHandsOutEachOnce(t *testing.T) {
	queue := aQueue(t)
	for range 3 {
		for i := range 200 {
			queue.Add(request("busy", i))
		}
	}
	got := map[reconcile.Request]int{}
	for range 200 {
		item, _ := queue.Get()
		got[item]++
		queue.Done(item)
	}
	if len(got) != 200 || queue.Len() != 0 || len(queue.waiting) != 0 {
		t.Errorf("%d of 200, %d left, %d counted", len(got), queue.Len(), len(queue.waiting))
	}
}

func TestQueueKeepsOtherPriorities(t *testing.T) {
	queue := aQueue(t)
	for i := range 500 {
		queue.Add(request("busy", i))
	}
	queue.AddWithOpts(priorityqueue.AddOpts{Priority: new(recheckPriority)}, request("busy", 1000))
	queue.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, request("start", 0))
	var last []int
	for range 502 {
		item, priority, _ := queue.GetWithPriority()
		queue.Done(item)
		last = append(last, priority)
	}
	if diff := cmp.Diff([]int{-9, -10, -100}, last[499:]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestQueueKeepsThePriorityOfWhatComesLater(t *testing.T) {
	queue := aQueue(t)
	for range 50 {
		later := priorityqueue.AddOpts{After: time.Nanosecond, Priority: new(recheckPriority)}
		queue.AddWithOpts(later, request("busy", 0))
		item, priority, _ := queue.GetWithPriority()
		queue.Done(item)
		if priority != recheckPriority {
			t.Fatalf("priority %d", priority)
		}
	}
}
