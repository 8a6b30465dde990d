package holdings

import (
	"container/heap"

	"github.com/job-handler/job-handler/internal/retain"
)

// dueHeap has what is to go first at its top. It implements heap.Interface.
type dueHeap []retain.Due

// keep takes one in, unless there are too many, and reports whether it comes
// first now.
func (d *dueHeap) keep(due retain.Due) (first bool) {
	if len(*d) >= mostDue {
		return false
	}
	heap.Push(d, due)
	return (*d)[0] == due
}

// Len implements heap.Interface.
func (d *dueHeap) Len() int { return len(*d) }

// Less implements heap.Interface.
func (d *dueHeap) Less(i, j int) bool { return (*d)[i].At.Before((*d)[j].At) }

// Swap implements heap.Interface.
func (d *dueHeap) Swap(i, j int) { (*d)[i], (*d)[j] = (*d)[j], (*d)[i] }

// Push implements heap.Interface.
func (d *dueHeap) Push(x any) {
	if due, isDue := x.(retain.Due); isDue {
		*d = append(*d, due)
	}
}

// Pop implements heap.Interface.
func (d *dueHeap) Pop() any {
	last := len(*d) - 1
	due := (*d)[last]
	(*d)[last] = retain.Due{}
	*d = (*d)[:last]
	return due
}
