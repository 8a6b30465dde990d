package writelimit

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// server holds every request until it is told to answer.
type server struct {
	answer           chan struct{}
	inFlight, served atomic.Int32
	err              error
}

func newServer() *server { return &server{answer: make(chan struct{})} }

func (s *server) RoundTrip(request *http.Request) (*http.Response, error) {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	select {
	case <-s.answer:
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	if request.Body != nil {
		defer request.Body.Close()
	}
	s.served.Add(1)
	if s.err != nil {
		return nil, s.err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: request}, nil
}

// body is a request body that knows whether it was closed.
type body struct {
	io.Reader

	closed atomic.Int32
}

func (b *body) Close() error {
	b.closed.Add(1)
	return nil
}

func request(ctx context.Context, method string) *http.Request {
	made, err := http.NewRequestWithContext(ctx, method, "http://cluster/api", http.NoBody)
	if err != nil {
		panic(err)
	}
	return made
}

var writes = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func TestWritesAreBounded(t *testing.T) {
	for name, test := range map[string]struct {
		limit, requests int
		want            int32
	}{
		"one at a time":     {limit: 1, requests: 5, want: 1},
		"three at a time":   {limit: 3, requests: 10, want: 3},
		"as many as fit":    {limit: 4, requests: 4, want: 4},
		"fewer than fit":    {limit: 8, requests: 2, want: 2},
		"one more than fit": {limit: 4, requests: 5, want: 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				upstream := newServer()
				transport := New(test.limit)(upstream)
				var group sync.WaitGroup
				for i := range test.requests {
					group.Go(func() {
						response, err := transport.RoundTrip(request(t.Context(), writes[i%len(writes)]))
						if err != nil {
							t.Error(err)
							return
						}
						response.Body.Close()
					})
				}
				for left := test.requests; left > 0; left-- {
					synctest.Wait()
					if got, want := upstream.inFlight.Load(), min(test.want, int32(left)); got != want {
						t.Errorf("%d in flight with %d left, want %d", got, left, want)
					}
					upstream.answer <- struct{}{}
				}
				group.Wait()
				if got := upstream.served.Load(); int(got) != test.requests {
					t.Errorf("%d of %d were served", got, test.requests)
				}
			})
		})
	}
}

func TestReadsAreNotCounted(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				upstream := newServer()
				transport := New(1)(upstream)
				var group sync.WaitGroup
				for _, method := range []string{http.MethodPost, method, method, method, method} {
					group.Go(func() {
						if _, err := transport.RoundTrip(request(t.Context(), method)); err != nil {
							t.Error(err)
						}
					})
				}
				synctest.Wait()
				if got := upstream.inFlight.Load(); got != 5 {
					t.Errorf("%d in flight, want the one write and all four reads", got)
				}
				close(upstream.answer)
				group.Wait()
			})
		})
	}
}

// All clients that share the wrapper share its bound.
func TestBoundIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		upstream, wrap := newServer(), New(2)
		var group sync.WaitGroup
		for range 3 {
			transport := wrap(upstream)
			group.Go(func() {
				if _, err := transport.RoundTrip(request(t.Context(), http.MethodPost)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if got := upstream.inFlight.Load(); got != 2 {
			t.Errorf("%d in flight, want 2", got)
		}
		close(upstream.answer)
		group.Wait()
	})
}

// A write that fails makes room for the next.
func TestFailureMakesRoom(t *testing.T) {
	upstream := newServer()
	upstream.err = errors.New("connection reset")
	close(upstream.answer)
	transport := New(1)(upstream)
	for range 3 {
		if _, err := transport.RoundTrip(request(t.Context(), http.MethodPost)); !errors.Is(err, upstream.err) {
			t.Fatalf("got %v, want the answer as it was", err)
		}
	}
}

func TestWaitingEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		upstream := newServer()
		transport := New(1)(upstream)
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := transport.RoundTrip(request(t.Context(), http.MethodPost)); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		waiting := request(ctx, http.MethodPost)
		content := &body{Reader: strings.NewReader("{}")}
		waiting.Body = content
		failed := make(chan error)
		go func() {
			_, err := transport.RoundTrip(waiting)
			failed <- err
		}()
		synctest.Wait()
		cancel()
		err := <-failed
		if want := "waiting for other writes: context canceled"; !errors.Is(err, context.Canceled) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		// As http.RoundTripper asks for, so that nobody who fills it hangs.
		if got := content.closed.Load(); got != 1 {
			t.Errorf("the body was closed %d times", got)
		}
		if got := upstream.inFlight.Load(); got != 1 {
			t.Errorf("%d in flight, want the first alone", got)
		}

		// Who gave up took no room with it.
		close(upstream.answer)
		group.Wait()
		if _, err := transport.RoundTrip(request(t.Context(), http.MethodPost)); err != nil {
			t.Error(err)
		}
	})
}

func TestWaitingWithoutBody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	upstream := newServer()
	refused := request(ctx, http.MethodDelete)
	refused.Body = nil
	if _, err := New(0)(upstream).RoundTrip(refused); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := upstream.served.Load(); got != 0 {
		t.Error("it was sent all the same")
	}
}

// The body of what gets through is for the next transport to close.
func TestBodyIsHandedOn(t *testing.T) {
	upstream := newServer()
	close(upstream.answer)
	sent := request(t.Context(), http.MethodPost)
	content := &body{Reader: strings.NewReader("{}")}
	sent.Body = content
	if _, err := New(1)(upstream).RoundTrip(sent); err != nil {
		t.Fatal(err)
	}
	if got := content.closed.Load(); got != 1 {
		t.Errorf("the body was closed %d times", got)
	}
}
