package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/job-handler/job-handler/internal/selftest"
)

const selfTestCounts = `
# HELP job_handler_self_test_runs_total Self-tests of stamping by result.
# TYPE job_handler_self_test_runs_total counter
`

func TestSelfTest(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := NewSelfTest(registry)
	if err != nil {
		t.Fatal(err)
	}
	compare := func(want string) {
		t.Helper()
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	}
	metrics.Tested(selftest.Unanswered, time.Unix(1_800_000_000, 0))
	metrics.Tested(selftest.Refused, time.Unix(1_800_000_001, 0))
	compare(selfTestCounts + `job_handler_self_test_runs_total{result="refused"} 1
job_handler_self_test_runs_total{result="stamped"} 0
job_handler_self_test_runs_total{result="unanswered"} 1
job_handler_self_test_runs_total{result="unstamped"} 0
`)
	metrics.Tested(selftest.Stamped, time.Unix(1_800_000_002, 5))
	metrics.Tested(selftest.Unstamped, time.Unix(1_800_000_003, 0))
	compare(selfTestCounts + `job_handler_self_test_runs_total{result="refused"} 1
job_handler_self_test_runs_total{result="stamped"} 1
job_handler_self_test_runs_total{result="unanswered"} 1
job_handler_self_test_runs_total{result="unstamped"} 1
# HELP job_handler_self_test_last_success_timestamp_seconds When a Job last came back with the webhook's stamp, in seconds since 1970; absent until one has.
# TYPE job_handler_self_test_last_success_timestamp_seconds gauge
job_handler_self_test_last_success_timestamp_seconds 1.800000002e+09
# HELP job_handler_self_test_stamping_works 1 if a created Job comes back from the API server with the webhook's stamp, else 0; absent until the first test.
# TYPE job_handler_self_test_stamping_works gauge
job_handler_self_test_stamping_works 0
`)
	if problems, err := testutil.GatherAndLint(registry); len(problems) > 0 || err != nil {
		t.Errorf("%v, %v", problems, err)
	}
	if _, err := NewSelfTest(registry); err == nil {
		t.Error("registered twice")
	}
}
