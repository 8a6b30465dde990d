// Package writelimit limits how many writing requests a process has in flight.
// Beyond some number the API server only queues them, and refuses some.
package writelimit

import (
	"fmt"
	"net/http"

	"golang.org/x/sync/semaphore"
	"k8s.io/client-go/transport"
)

// New returns a wrapper that lets at most limit writing requests through at a
// time and holds the others until one is answered or their context ends.
// Reads and watches are not counted.
func New(limit int) transport.WrapperFunc {
	slots := semaphore.NewWeighted(int64(limit))
	return func(next http.RoundTripper) http.RoundTripper {
		return &limited{next: next, slots: slots}
	}
}

type limited struct {
	next  http.RoundTripper
	slots *semaphore.Weighted
}

func (l *limited) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodGet || request.Method == http.MethodHead {
		return l.next.RoundTrip(request)
	}
	if err := l.slots.Acquire(request.Context(), 1); err != nil {
		// A RoundTripper closes the body whatever happens.
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, fmt.Errorf("waiting for other writes: %w", err)
	}
	defer l.slots.Release(1)
	return l.next.RoundTrip(request)
}
