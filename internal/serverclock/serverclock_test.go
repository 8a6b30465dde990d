package serverclock

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

var now = time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)

// answer asks a server whose clock is ahead and that takes so long.
func answer(t *testing.T, c *Clock, ahead, takes time.Duration, date string) {
	t.Helper()
	local, isFake := c.PassiveClock.(*clocktesting.FakePassiveClock)
	if !isFake {
		t.Fatal("no clock to set")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		local.SetTime(local.Now().Add(takes))
		if date == "" {
			date = local.Now().Add(ahead).Format(http.TimeFormat)
		}
		w.Header().Set("Date", date)
	}))
	defer server.Close()
	client := &http.Client{Transport: c.Wrap(http.DefaultTransport)}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
}

func TestOffset(t *testing.T) {
	for name, test := range map[string]struct {
		ahead, takes time.Duration
		date         string
		want         time.Duration
	}{
		"the same time":             {want: 0},
		"a second ahead":            {ahead: time.Second},
		"as much as is tolerated":   {ahead: -5 * time.Second},
		"the machine an hour slow":  {ahead: time.Hour, want: time.Hour},
		"the machine an hour fast":  {ahead: -time.Hour, want: -time.Hour},
		"an answer that takes time": {ahead: time.Hour, takes: time.Second, want: time.Hour},
		"an answer that takes long": {ahead: time.Hour, takes: 3 * time.Second},
		"no date":                   {date: "yesterday"},
	} {
		t.Run(name, func(t *testing.T) {
			local := clocktesting.NewFakePassiveClock(now)
			c := New(local)
			answer(t, c, test.ahead, test.takes, test.date)
			if got := c.Offset(); got != test.want {
				t.Errorf("offset %v, want %v", got, test.want)
			}
			if got, want := c.Now(), local.Now().Add(test.want); !got.Equal(want) {
				t.Errorf("now is %v, want %v", got, want)
			}
			if got := c.Since(local.Now()); got != test.want {
				t.Errorf("%v since, want %v", got, test.want)
			}
		})
	}
}

func TestOffsetFollowsTheMachine(t *testing.T) {
	local := clocktesting.NewFakePassiveClock(now)
	c := New(local)
	answer(t, c, time.Hour, 0, "")
	answer(t, c, time.Hour+2*time.Second, 0, "")
	if got := c.Offset(); got != time.Hour {
		t.Errorf("offset %v: it moves with every answer", got)
	}
	local.SetTime(now.Add(time.Hour))
	answer(t, c, 0, 0, "")
	if got := c.Offset(); got != 0 {
		t.Errorf("offset %v after the machine's clock was put right", got)
	}
}

type away struct{ err error }

func (a away) RoundTrip(*http.Request) (*http.Response, error) { return nil, a.err }

func TestNoAnswer(t *testing.T) {
	c, refused := New(clocktesting.NewFakePassiveClock(now)), errors.New("connection refused")
	response, err := c.Wrap(away{refused}).RoundTrip(httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if response != nil {
		_ = response.Body.Close()
	}
	if !errors.Is(err, refused) || c.Offset() != 0 {
		t.Errorf("%v, %v", err, c.Offset())
	}
}
