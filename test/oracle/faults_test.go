package oracle_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// The faults that hit a request. Each belongs to a link.
var (
	// crashInstead: the process dies before the request is sent.
	crashInstead = func(l *link) fault {
		return func(asked, answering) (*response, error) {
			l.die()
			return nil, errDead
		}
	}
	// crashAfter: the request is carried out, the process dies before the answer.
	crashAfter = func(l *link) fault {
		return func(_ asked, send answering) (*response, error) {
			drop(send())
			l.die()
			return nil, errDead
		}
	}
	// loseRequest: the connection breaks before the request arrives.
	loseRequest = func(*link) fault {
		return func(asked, answering) (*response, error) { return nil, errLost }
	}
	// loseAnswer: the request is carried out, the connection breaks before the answer.
	loseAnswer = func(*link) fault {
		return func(_ asked, send answering) (*response, error) {
			drop(send())
			return nil, errLost
		}
	}
)

func drop(answered *response, err error) {
	if err == nil {
		_, _ = io.Copy(io.Discard, answered.Body)
		answered.Body.Close()
	}
}

// answer answers as the API server would, instead of it.
func answer(code int, reason metav1.StatusReason, message string) fault {
	return func(asked, answering) (*response, error) {
		status := metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
		}
		text, err := json.Marshal(status)
		if err != nil {
			return nil, err
		}
		header := http.Header{"Content-Type": {runtime.ContentTypeJSON}, "Content-Length": {strconv.Itoa(len(text))}}
		return &response{
			StatusCode: code, Status: http.StatusText(code), Header: header, ContentLength: int64(len(text)),
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(bytes.NewReader(text)),
		}, nil
	}
}

// before runs f, then sends the request.
func before(f func()) fault {
	return func(_ asked, send answering) (*response, error) {
		f()
		return send()
	}
}

// after sends the request, then runs f before the process gets the answer.
func after(f func()) fault {
	return func(_ asked, send answering) (*response, error) {
		answered, err := send()
		f()
		return answered, err
	}
}

// atWrite has f hit the nth write, counted from 1, and no other request.
func atWrite(n int, f fault) fault {
	return nth(n, asked.writes, f)
}

// atFreshWrite has f hit the first write that the API server does not answer with
// a conflict, in which case it was made before. f must send it; it is carried out
// by then.
func atFreshWrite(f fault) fault {
	return func(a asked, send answering) (*response, error) {
		if !a.writes() {
			return send()
		}
		answered, err := send()
		if err != nil || answered.StatusCode == http.StatusConflict {
			return answered, err
		}
		return f(a, func() (*response, error) { return answered, nil })
	}
}

// at has f hit the nth request for what, counted from 1.
func at(n int, what string, f fault) fault {
	return nth(n, func(a asked) bool { return a.what == what }, f)
}

func nth(n int, counts func(asked) bool, f fault) fault {
	var mu sync.Mutex
	seen := 0
	return func(a asked, send answering) (*response, error) {
		if !counts(a) {
			return send()
		}
		mu.Lock()
		seen++
		hit := seen == n
		mu.Unlock()
		if hit {
			return f(a, send)
		}
		return send()
	}
}

// both has a, then b, stand between.
func both(a, b fault) fault {
	return func(asked asked, send answering) (*response, error) {
		return a(asked, func() (*response, error) { return b(asked, send) })
	}
}

// always has f hit every request for which hits is true.
func always(hits func(asked) bool, f fault) fault {
	return func(a asked, send answering) (*response, error) {
		if hits(a) {
			return f(a, send)
		}
		return send()
	}
}
