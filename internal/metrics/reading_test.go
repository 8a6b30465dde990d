package metrics

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/job-handler/job-handler/internal/policy"
)

func TestReading(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewReading(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.Reading(4)
	m.Reading(-1)
	m.WaitingForStream(2)
	m.WaitingForMemory(1)
	m.Read(100)
	m.Read(20)
	const want = `
# TYPE job_handler_read_bytes_total counter
job_handler_read_bytes_total 120
# TYPE job_handler_read_streams gauge
job_handler_read_streams 3
# TYPE job_handler_read_waiting gauge
job_handler_read_waiting{resource="memory"} 1
job_handler_read_waiting{resource="stream"} 2
`
	if err := testutil.GatherAndCompare(registry, withHelp(t, want)); err != nil {
		t.Error(err)
	}
	if _, err := NewReading(registry); err == nil {
		t.Error("registered twice")
	}
}

func TestAdmission(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewAdmission(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.Answered(policy.AdmissionJob, policy.AdmissionStamped, false)
	m.Answered(policy.AdmissionJob, policy.AdmissionStamped, true)
	m.Answered(policy.AdmissionCronJob, policy.AdmissionRefused, false)
	for series, want := range map[prometheus.Counter]float64{
		m.requests.WithLabelValues("job", "stamped"):     2,
		m.requests.WithLabelValues("cronjob", "refused"): 1,
		m.requests.WithLabelValues("job", "skipped"):     0,
		m.warned.WithLabelValues("job"):                  1,
		m.warned.WithLabelValues("cronjob"):              0,
	} {
		if got := testutil.ToFloat64(series); got != want {
			t.Errorf("%s: got %g, want %g", series.Desc(), got, want)
		}
	}
	if _, err := NewAdmission(registry); err == nil {
		t.Error("registered twice")
	}
	var none *Admission
	none.Answered(policy.AdmissionJob, policy.AdmissionUnread, true)
}
