package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestFollow(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := NewFollow(registry)
	if err != nil {
		t.Fatal(err)
	}
	metrics.Waiting(3)
	metrics.Waiting(-1)
	metrics.Following(5)
	metrics.Following(-2)
	metrics.Parked(2)
	metrics.Parked(-1)
	metrics.GaveUp()
	metrics.GaveUp()
	metrics.FellBack()
	metrics.Reconnected()
	metrics.Reconnected()
	want := `
# HELP job_handler_follow_fallbacks_total Logs that did not get their turn to be followed while their Job ran, and are read at its end.
# TYPE job_handler_follow_fallbacks_total counter
job_handler_follow_fallbacks_total 1
# HELP job_handler_follow_given_up_total Streams closed in favor of other logs: silent ones, or those of a namespace above its fair share.
# TYPE job_handler_follow_given_up_total counter
job_handler_follow_given_up_total 2
# HELP job_handler_follow_parked Logs whose stream was closed in favor of other logs, and that wait for another one.
# TYPE job_handler_follow_parked gauge
job_handler_follow_parked 1
# HELP job_handler_follow_reconnects_total Streams opened to continue a log after another one broke off, or ended before the log did.
# TYPE job_handler_follow_reconnects_total counter
job_handler_follow_reconnects_total 2
# HELP job_handler_follow_streams Logs that are being followed while they are written.
# TYPE job_handler_follow_streams gauge
job_handler_follow_streams 3
# HELP job_handler_follow_waiting Logs that wait until one more may be followed.
# TYPE job_handler_follow_waiting gauge
job_handler_follow_waiting 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); len(problems) > 0 || err != nil {
		t.Errorf("%v, %v", problems, err)
	}
	if _, err := NewFollow(registry); err == nil {
		t.Error("registered twice")
	}
}
