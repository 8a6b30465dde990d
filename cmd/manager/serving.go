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

// When a manager ends, it interrupts its work, which the next leader finds and repeats,
// and gives the lease back. It answers admission requests meanwhile and for
// --webhook-shutdown-delay, since API servers send some until they notice that the pod
// ends.
const (
	// shutdownTimeout bounds the work before the lease is given back.
	shutdownTimeout = 10 * time.Second
	// drainTimeout is how long the API server waits for an answer: after it no client
	// waits.
	drainTimeout = 3 * time.Second
)

// webhookServer starts before the caches are filled, together with alongside: the files
// that it needs, and the check of its certificate. The server keeps running after its
// manager ended, until finish ends it.
type webhookServer struct {
	webhook.Server

	alongside []manager.Runnable
	// delay is how long new requests are accepted after the manager ended; drain is how
	// long requests then have to finish.
	delay, drain time.Duration

	// Start sets these for finish.
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

// Start serves until ctx ends or serving fails.
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

// finish ends the server after the manager, if it was started.
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

// onlyHTTP1 turns HTTP/2 off. With HTTP/2 an API server sends all its requests through
// one connection, and so to one replica; if that disappears silently, all of them hang.
// HTTP/2 also makes it cheap for clients to overload a server.
func onlyHTTP1(config *tls.Config) { config.NextProtos = []string{"http/1.1"} }

// metricsOptions serves metrics in plain text on loopback only. Elsewhere it serves them
// over TLS, to clients that the API server authenticates and allows to get /metrics. It
// asks through connection.
//
// The certificate is the webhook's: scrapers trust one authority, it is renewed without a
// restart, and its expiry is watched. Without the webhook, a self-signed certificate is
// used, which clients cannot verify.
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
