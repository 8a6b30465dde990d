package pager

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// errTooLarge says that an answer had more bytes than its page may have.
var errTooLarge = errors.New("the answer is larger than a page of objects may be")

// Transport returns a transport that gives up the answer to a list of a Lister once
// it has more bytes than its page may have. No other answer is changed.
func Transport(next http.RoundTripper) http.RoundTripper { return transport{next} }

type transport struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if of, is := request.Context().Value(allowanceKey{}).(*allowance); is && err == nil {
		of.read = 0
		response.Body = &limitedBody{ReadCloser: response.Body, of: of}
	}
	return response, err
}

type allowanceKey struct{}

// allowance is what one answer may have. It is for one goroutine: the client reads
// the answer where it was asked for.
type allowance struct{ most, read int }

func withAllowance(ctx context.Context, most int) (context.Context, *allowance) {
	of := &allowance{most: most}
	return context.WithValue(ctx, allowanceKey{}, of), of
}

// bytes returns how many were read; 0 where no Transport counted them.
func (a *allowance) bytes() int { return a.read }

type limitedBody struct {
	io.ReadCloser
	of *allowance
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.of.read += n; b.of.read > b.of.most {
		return 0, errTooLarge
	}
	return n, err
}
