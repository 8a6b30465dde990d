package metrics

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Certificates are the metrics of the webhook's serving certificate. Each
// shows only once it was set, since 0 would be an alarm.
type Certificates struct {
	expiry, issued, matches *prometheus.GaugeVec
}

// NewCertificates registers the metrics. It fails if they are registered.
func NewCertificates(registry Registry) (*Certificates, error) {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "webhook", Name: name, Help: help,
		}, labels)
	}
	c := &Certificates{
		expiry: gauge("certificate_expiry_timestamp_seconds",
			"When the certificate expires that the webhook server answers with, in seconds since 1970."),
		issued: gauge("certificate_issued",
			"1 if cert-manager's Certificate for the webhook server is Ready, else 0; absent without cert-manager."),
		// kind: mutating or validating.
		matches: gauge("ca_bundle_matches",
			"1 if every webhook of the configuration trusts the certificate that the webhook server answers with, else 0.",
			"kind"),
	}
	for _, collector := range []prometheus.Collector{c.expiry, c.issued, c.matches} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("registering the metrics of certificates: %w", err)
		}
	}
	return c, nil
}

// SetExpiry says when the certificate expires that is served.
func (c *Certificates) SetExpiry(at time.Time) {
	c.expiry.WithLabelValues().Set(float64(at.Unix()))
}

// SetIssued says whether the Certificate is Ready.
func (c *Certificates) SetIssued(issued bool) {
	c.issued.WithLabelValues().Set(number(issued))
}

// SetBundleMatches says whether the webhook configuration of a kind, mutating
// or validating, trusts the certificate that is served.
func (c *Certificates) SetBundleMatches(kind string, matches bool) {
	c.matches.WithLabelValues(kind).Set(number(matches))
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
