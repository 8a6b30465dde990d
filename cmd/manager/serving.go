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
// half-done that is not found again, and the lease is given back. Admission
// requests go on being answered meanwhile and for --webhook-shutdown-delay, since
// API servers go on calling until they have seen that the pod ends.
const (
	// shutdownTimeout bounds what comes before the lease is given back.
	shutdownTimeout = 10 * time.Second
	// drainTimeout is how long the API server waits for an answer, and so how
	// long there can be somebody who does.
	drainTimeout = 3 * time.Second
)

// webhookServer starts before the caches are filled, and so does what is
// alongside: what the server needs, and the look at whether it can be trusted.
// The server itself goes on when its manager ends, until finish ends it.
type webhookServer struct {
	webhook.Server

	alongside []manager.Runnable
	// delay is how long new requests are taken, once the manager has ended, and
	// drain how long then those that began have to end.
	delay, drain time.Duration

	// What Start leaves to finish.
	stop  context.CancelFunc
	ended chan error
}

func newWebhookServer(opts *options.Options, files *certs.Files) *webhookServer {
	return &webhookServer{
		Server: webhook.NewServer(webhook.Options{
			Host: opts.Webhook.Host, Port: opts.Webhook.Port,
			TLSOpts: []func(*tls.Config){files.ServeFrom, onlyHTTP1},
		}),
		alongside: []manager.Runnable{files}, delay: opts.Webhook.ShutdownDelay, drain: drainTimeout,
	}
}

// Start begins to serve, and returns when ctx ends, or with what went wrong.
func (s *webhookServer) Start(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.ended = stop, make(chan error, 1)
	go func() { s.ended <- s.Server.Start(serving) }()
	group, ctx := errgroup.WithContext(ctx)
	for _, each := range s.alongside {
		group.Go(func() error { return each.Start(ctx) })
	}
	group.Go(func() error {
		select {
		case err := <-s.ended:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	if err := group.Wait(); err != nil {
		stop()
		return fmt.Errorf("serving admission requests: %w", err)
	}
	return nil
}

// finish ends the server once the manager has ended, if it was started at all.
func (s *webhookServer) finish() error {
	if s.stop == nil {
		return nil
	}
	defer s.stop()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(s.delay):
	}
	s.stop()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(s.drain):
		ctrl.Log.Info("ending with admission requests, or connections of clients, still open")
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
