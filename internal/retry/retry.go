// Package retry decides how often controllers retry. It must not import controllers.
package retry

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	first = 100 * time.Millisecond
	// The library's own backoff grows to 1,000 s: long after an API server is
	// back, Jobs would still wait.
	longest = 20 * time.Second
)

// What the API server refuses waits for people, who need minutes: each time the wait
// doubles, up to the longest. The API server has others to serve meanwhile.
const (
	FirstRefused   = time.Minute
	LongestRefused = 4 * time.Minute
)

// Sooner returns the shorter of two waits, where 0 means for ever.
func Sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Limiter returns a rate limiter for a controller's queue: exponential from
// 100 ms to 20 s for each request.
func Limiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](first, longest)
}
