package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/job-handler/job-handler/certs"
	"github.com/job-handler/job-handler/internal/options"
)

// How a manager ends: work in progress is broken off, which leaves nothing
// half-done that is not found again; admission requests are answered; the lease
// is given back; and all that within the pod's grace period, with its preStop.
const (
	// shutdownTimeout bounds it all. Only then is the lease given back.
	shutdownTimeout = 10 * time.Second
	// drainTimeout is how long the API server waits for an answer, and so how
	// long there can be somebody who does.
	drainTimeout = 3 * time.Second
)

// webhookServer starts before the caches are filled and ends after the
// controllers, and so does what is alongside: what the server needs, and the
// look at whether it can be trusted.
type webhookServer struct {
	webhook.Server

	alongside []manager.Runnable
	// drain is how long requests have to end. A client that holds a connection
	// open would hold up the lease for longer.
	drain time.Duration
}

func newWebhookServer(opts *options.Options, files *certs.Files) *webhookServer {
	return &webhookServer{
		Server: webhook.NewServer(webhook.Options{
			Host: opts.Webhook.Host, Port: opts.Webhook.Port,
			TLSOpts: []func(*tls.Config){files.ServeFrom, onlyHTTP1},
		}),
		alongside: []manager.Runnable{files}, drain: drainTimeout,
	}
}

// Start serves until ctx ends.
func (s *webhookServer) Start(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, each := range s.alongside {
		group.Go(func() error { return each.Start(ctx) })
	}
	group.Go(func() error { return s.serve(ctx) })
	if err := group.Wait(); err != nil {
		return fmt.Errorf("serving admission requests: %w", err)
	}
	return nil
}

func (s *webhookServer) serve(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- s.Server.Start(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(s.drain):
		ctrl.LoggerFrom(ctx).Info("ending with admission requests, or connections of clients, still open")
		return nil
	}
}

// onlyHTTP1 turns HTTP/2 off. Over it an API server sends all its requests
// through one connection, and so to one replica, and all of them hang if that
// goes away without a word; and clients cost a server more than they pay.
func onlyHTTP1(config *tls.Config) { config.NextProtos = []string{"http/1.1"} }

// metricsOptions serves metrics on loopback to everybody there, and elsewhere
// over TLS to those whom the API server knows and lets get /metrics. There is no
// way to serve them openly. The connection is used to ask it.
//
// The certificate is the webhook's: one authority for a scraper to trust,
// renewed without a restart, and its expiry is watched. Without the webhook it
// is one that nobody can verify.
func metricsOptions(opts *options.Options, files *certs.Files, connection *rest.Config) server.Options {
	served := server.Options{BindAddress: opts.Manager.MetricsAddress}
	if !opts.Manager.SecureMetrics() {
		return served
	}
	served.SecureServing = true
	served.TLSOpts = []func(*tls.Config){onlyHTTP1}
	if opts.Webhook.Enabled {
		served.TLSOpts = append(served.TLSOpts, files.ServeFrom)
	}
	served.FilterProvider = func(*rest.Config, *http.Client) (server.Filter, error) {
		client, err := rest.HTTPClientFor(connection)
		if err != nil {
			return nil, fmt.Errorf("building the client that asks who may read metrics: %w", err)
		}
		return filters.WithAuthenticationAndAuthorization(connection, client)
	}
	return served
}
