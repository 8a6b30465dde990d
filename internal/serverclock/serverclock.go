// Package serverclock tells the time of the API server, so that a wrong clock on
// this machine neither deletes a Job early nor makes new Jobs look old: the
// cluster's clock says when a Job ended and when its TTL is over. It must not import
// anything of Job Handler.
package serverclock

import (
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

const (
	// tolerance is the difference between the clocks up to which the machine's own
	// is taken: the server tells whole seconds.
	tolerance = 5 * time.Second
	// slowest is how long an answer may take for its date to be of use.
	slowest = 2 * time.Second
)

// Clock is the machine's clock, put right by the dates of the API server's
// answers. Until there was one it is the machine's own.
type Clock struct {
	clock.PassiveClock
	offset atomic.Int64
}

var _ clock.PassiveClock = &Clock{}

// New returns a Clock that puts local right.
func New(local clock.PassiveClock) *Clock { return &Clock{PassiveClock: local} }

// Now returns the time.
func (c *Clock) Now() time.Time { return c.PassiveClock.Now().Add(c.Offset()) }

// Since returns how long ago t was.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Offset returns by how much the API server is ahead; 0 if the clocks agree to
// some seconds.
func (c *Clock) Offset() time.Duration { return time.Duration(c.offset.Load()) }

// Wrap is a transport.WrapperFunc that takes note of the dates of answers.
func (c *Clock) Wrap(next http.RoundTripper) http.RoundTripper {
	return &transport{next: next, clock: c}
}

type transport struct {
	next  http.RoundTripper
	clock *Clock
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	asked := t.clock.PassiveClock.Now()
	response, err := t.next.RoundTrip(request)
	if err == nil {
		t.clock.note(response.Header.Get("Date"), asked, t.clock.PassiveClock.Now())
	}
	return response, err
}

// note takes note of the date of an answer. What takes long, or has a date that
// is none, tells nothing.
func (c *Clock) note(date string, asked, answered time.Time) {
	server, err := http.ParseTime(date)
	if took := answered.Sub(asked); err != nil || took < 0 || took > slowest {
		return
	}
	offset := server.Sub(answered)
	if offset.Abs() <= tolerance {
		offset = 0
	}
	if (offset-c.Offset()).Abs() > tolerance || offset == 0 {
		c.offset.Store(int64(offset))
	}
}
