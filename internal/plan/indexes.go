package plan

import (
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// indexes are completion indexes as status.completedIndexes lists them: ranges in
// ascending order. They are never written out one by one: a few bytes may name
// billions.
type indexes []indexRange

// indexRange is all indexes from first to last.
type indexRange struct{ first, last int }

// parseIndexes reads a list such as "0,3-5,7". It skips what is no range, as the Job
// controller does.
func parseIndexes(list string) indexes {
	if list == "" {
		return nil
	}
	var all indexes
	for text := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(text, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, errLast := strconv.Atoi(to)
		if err == nil && errLast == nil && first <= last {
			all = append(all, indexRange{first: first, last: last})
		}
	}
	return all
}

// has reports whether index is one of them.
func (all indexes) has(index int) bool {
	_, found := slices.BinarySearchFunc(all, index, func(r indexRange, index int) int {
		switch {
		case r.last < index:
			return -1
		case r.first > index:
			return 1
		default:
			return 0
		}
	})
	return found
}

// count returns how many they are, at most limit.
func (all indexes) count(limit int) int {
	n := 0
	for _, r := range all {
		if r.last-r.first >= limit-n {
			return limit
		}
		n += r.last - r.first + 1
	}
	return n
}

// indexOf returns the completion index of a pod, and false if it has none.
func indexOf(pod *corev1.Pod) (int, bool) {
	index, err := strconv.Atoi(pod.Annotations[batchv1.JobCompletionIndexAnnotation])
	return index, err == nil && index >= 0
}
