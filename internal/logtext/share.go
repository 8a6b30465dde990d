package logtext

import (
	"cmp"
	"slices"
)

// FairShare divides budget between texts of these sizes and returns the limit
// for each: its whole size where that is at most an equal share, and what
// those leave over divided among the others, again equally. So a small text is
// never cut because of a large one. No limit is negative or above its size,
// and their sum is at most budget; it falls short of it by less than one a
// text, or where all fit.
func FairShare(sizes []int, budget int) []int {
	order := make([]int, len(sizes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(sizes[a], sizes[b]) })
	limits := make([]int, len(sizes))
	budget = max(0, budget)
	for served, i := range order {
		limits[i] = max(0, min(sizes[i], budget/(len(order)-served)))
		budget -= limits[i]
	}
	return limits
}
