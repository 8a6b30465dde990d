package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestCertificates(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := NewCertificates(registry)
	if err != nil {
		t.Fatal(err)
	}
	if count, err := testutil.GatherAndCount(registry); count != 0 || err != nil {
		t.Errorf("%d metrics before anything is known, %v", count, err)
	}
	metrics.SetExpiry(time.Unix(1_800_000_000, 5))
	metrics.SetIssued(true)
	metrics.SetBundleMatches("mutating", true)
	metrics.SetBundleMatches("validating", false)
	want := `
# HELP job_handler_webhook_ca_bundle_matches 1 if every webhook of the configuration trusts the webhook server's certificate, else 0.
# TYPE job_handler_webhook_ca_bundle_matches gauge
job_handler_webhook_ca_bundle_matches{kind="mutating"} 1
job_handler_webhook_ca_bundle_matches{kind="validating"} 0
# HELP job_handler_webhook_certificate_expiry_timestamp_seconds When the webhook server's certificate expires, in seconds since 1970.
# TYPE job_handler_webhook_certificate_expiry_timestamp_seconds gauge
job_handler_webhook_certificate_expiry_timestamp_seconds 1.8e+09
# HELP job_handler_webhook_certificate_issued 1 if cert-manager's Certificate for the webhook server is Ready, else 0; absent without cert-manager.
# TYPE job_handler_webhook_certificate_issued gauge
job_handler_webhook_certificate_issued 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); len(problems) > 0 || err != nil {
		t.Errorf("%v, %v", problems, err)
	}
	if _, err := NewCertificates(registry); err == nil {
		t.Error("registered twice")
	}
}
