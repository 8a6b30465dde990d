package harness

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/test/perf/report"
)

func TestCount(t *testing.T) {
	const text = `# TYPE apiserver_request_total counter
apiserver_request_total{code="201",dry_run="",resource="configmaps",subresource="",verb="POST"} 3
apiserver_request_total{code="404",dry_run="",resource="jobs",subresource="",verb="DELETE"} 2
apiserver_request_total{code="200",dry_run="",resource="jobs",subresource="",verb="DELETE"} 5
apiserver_request_total{code="200",dry_run="",resource="pods",subresource="log",verb="CONNECT"} 7
apiserver_request_total{code="200",dry_run="",resource="jobs",subresource="status",verb="PUT"} 11
apiserver_request_total{code="201",dry_run="All",resource="jobs",subresource="",verb="POST"} 13
apiserver_request_total{code="200",dry_run="",resource="jobs",subresource="",verb="WATCH"} 17
apiserver_request_total{code="200",dry_run="",resource="leases",subresource="",verb="PUT"} 19
# TYPE apiserver_flowcontrol_rejected_requests_total counter
apiserver_flowcontrol_rejected_requests_total{flow_schema="a",reason="time-out"} 2
apiserver_flowcontrol_rejected_requests_total{flow_schema="b",reason="queue-full"} 3
`
	got, err := count([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"POST configmaps": 3, "DELETE jobs 404": 2, "DELETE jobs": 5, "GET pods/log": 7, "PUT jobs/status": 11,
	}
	if diff := cmp.Diff(want, got.requests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.rejected != 5 {
		t.Errorf("%v were rejected, want 5", got.rejected)
	}
	if writes := got.writes(); writes != 3+2+5+11 {
		t.Errorf("%v write, want 21", writes)
	}
	if _, err := count([]byte("not a metric")); err == nil {
		t.Error("what are no metrics was counted")
	}
}

func TestUsage(t *testing.T) {
	before := usage{cpu: map[string]float64{managerProcess: 1, "etcd": 5}, counted: counters{requests: map[string]float64{"POST events": 10, "GET jobs": 4}}}
	after := usage{cpu: map[string]float64{managerProcess: 1.5, "etcd": 7}, counted: counters{requests: map[string]float64{"POST events": 110, "GET jobs": 4, "PATCH jobs": 50}, rejected: 3}}
	s := &report.Scenario{}
	addUsage(s, before, after, 100)
	if diff := cmp.Diff(map[string]float64{"POST events": 1, "PATCH jobs": 0.5}, s.Requests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for value, want := range map[report.Value]float64{report.CPU: 5, report.CPUEtcd: 20, report.Requests: 1.5, report.Rejected: 3} {
		if got := s.Values[value]; got != want {
			t.Errorf("%s is %v, want %v", value, got, want)
		}
	}
}

func TestCPUOfThisProcess(t *testing.T) {
	if cpu, err := cpuOf(os.Getpid()); err != nil || cpu < 0 {
		t.Errorf("got %v, %v", cpu, err)
	}
	if _, err := cpuOf(1 << 30); err == nil {
		t.Error("a process that is not there used CPU")
	}
}

func TestLogText(t *testing.T) {
	for _, size := range []int{0, 1, 10, 2 * kib, 64 * kib} {
		text := logText(size)
		if len(text) != size || size > 0 && text[size-1] != '\n' {
			t.Errorf("%d bytes, want %d that end a line", len(text), size)
		}
	}
}

func TestSelected(t *testing.T) {
	var text bytes.Buffer
	for i := range 20 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	logs := &served{text: text.Bytes(), tail: lastLines(text.Bytes(), 10)}
	for query, want := range map[string]string{
		"":             text.String(),
		"tailLines=10": "line 10\n" + strings.SplitN(text.String(), "line 10\n", 2)[1],
		"limitBytes=6": "line 0",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(logs.selected(values))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	stamped := string(logs.selected(url.Values{"timestamps": {"true"}, "limitBytes": {"64"}}))
	if len(stamped) != 64 || !strings.Contains(stamped, "Z line 0\n") {
		t.Errorf("stamped: %q", stamped)
	}
}

func TestLastLines(t *testing.T) {
	for text, want := range map[string]string{"": "", "a\n": "a\n", "a\nb\nc\n": "b\nc\n"} {
		if got := string(lastLines([]byte(text), 2)); got != want {
			t.Errorf("of %q: %q, want %q", text, got, want)
		}
	}
}

func TestChosen(t *testing.T) {
	names := func(entries []entry) (names []string) {
		for _, each := range entries {
			names = append(names, each.name)
		}
		return names
	}
	all, err := (&Settings{Sizes: Tiny}).chosen()
	if err != nil || len(all) != len(Names()) {
		t.Errorf("%v, %v", names(all), err)
	}
	some, err := (&Settings{Sizes: Tiny, Only: []string{"drain-gc", "drain"}}).chosen()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"calibrate", "drain", "calibrate-gc", "drain-gc"}, names(some)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := (&Settings{Only: []string{"drian"}}).chosen(); err == nil || !strings.Contains(err.Error(), "drain") {
		t.Errorf("got %v, want one that names the scenarios", err)
	}
}

// A drain waits for the Jobs alone whose logs come.
func TestExpected(t *testing.T) {
	for every, want := range map[int]int{0: 21, 20: 19, 1: 0, 30: 20} {
		if got := (drain{jobs: 21, logs: Logs{HangEvery: every}}).expected(); got != want {
			t.Errorf("of 21, every %d hangs: %d, want %d", every, got, want)
		}
	}
}

func TestIndexOf(t *testing.T) {
	for pod, want := range map[string]int{"job-0": 0, "job-17": 17, "": 0, "other": 0} {
		if got := indexOf(pod); got != want {
			t.Errorf("%q: %d, want %d", pod, got, want)
		}
	}
}
