package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const webhookPrefix = Prefix + "webhook_"

func certificateDefinitions() []Definition {
	return []Definition{certificateExpiry, certificateIssued, bundleMatches}
}

var (
	certificateExpiry = Definition{
		Name: webhookPrefix + "certificate_expiry_timestamp_seconds", Kind: Gauge,
		Help:   "When the webhook server's certificate expires, in seconds since 1970.",
		Absent: "While there is no certificate.",
	}
	certificateIssued = Definition{
		Name: webhookPrefix + "certificate_issued", Kind: Gauge,
		Help:   "1 if cert-manager's Certificate for the webhook server is Ready, else 0; absent without cert-manager.",
		Absent: "Without cert-manager.",
	}
	bundleMatches = Definition{
		Name: webhookPrefix + "ca_bundle_matches", Kind: Gauge,
		Help:   "1 if every webhook of the configuration trusts the webhook server's certificate, else 0.",
		Absent: "Until the configurations were checked.",
		Labels: []Label{{Name: "kind", Values: []Value{
			{"mutating", "The MutatingWebhookConfiguration, for Jobs."},
			{"validating", "The ValidatingWebhookConfiguration, for CronJobs."},
		}}},
	}
)

// Certificates are the metrics of the webhook's serving certificate. Each
// shows only once it was set, since 0 would be an alarm.
type Certificates struct {
	expiry, issued, matches *prometheus.GaugeVec
}

// NewCertificates registers the metrics. It fails if they are registered.
func NewCertificates(registry Registry) (*Certificates, error) {
	m := making{registry: registry}
	c := &Certificates{
		expiry: m.gauge(certificateExpiry), issued: m.gauge(certificateIssued), matches: m.gauge(bundleMatches),
	}
	return c, m.finish("certificates")
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
