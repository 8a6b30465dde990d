package main

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/certs"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/options"
	"github.com/job-handler/job-handler/webhooks"
)

// How often the webhook's certificate is checked, without and with problems, and how long
// a problem lasts before an Event reports it.
const (
	certificateInterval = 30 * time.Second
	certificateRetry    = time.Second
	certificatePatience = time.Minute
)

// addCertificates makes mgr ready once the API server can trust the webhook's
// certificate, which is checked alongside server.
func addCertificates(mgr ctrl.Manager, opts *options.Options, server *webhookServer, files *certs.Files) error {
	measures, err := metrics.NewCertificates(metrics.Served())
	if err != nil {
		return err
	}
	monitor := &certs.Monitor{
		Live: mgr.GetAPIReader(), Files: files, Metrics: measures, Clock: clock.RealClock{},
		Events: events.New(mgr.GetClient(), clock.RealClock{}, instance()),
		Options: certs.Options{
			Certificate:   opts.Webhook.CertificateName(),
			Configuration: webhooks.ConfigurationName,
			Address:       net.JoinHostPort(opts.Webhook.Host, strconv.Itoa(opts.Webhook.Port)),
			Interval:      certificateInterval, Retry: certificateRetry, Patience: certificatePatience,
		},
	}
	server.alongside = append(server.alongside, monitor)
	return addReadiness(mgr, "webhook", monitor.Check)
}

// newScheme returns the kinds that the manager reads and writes.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("adding Kubernetes' kinds: %w", err)
	}
	return scheme, certs.AddToScheme(scheme)
}
