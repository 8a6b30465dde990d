package main

import (
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/options"
	"github.com/job-handler/job-handler/internal/selftest"
	"github.com/job-handler/job-handler/webhooks"
)

// How often the self-test is retried after a failure, and how long it fails before an
// Event reports it.
const (
	selfTestRetry    = 10 * time.Second
	selfTestPatience = 2 * time.Minute
)

// addSelfTest makes mgr test whether Jobs are stamped. The test has its own connection,
// so that a manager with many writes does not mistake its own delay for a broken webhook.
// It reports to found.
func addSelfTest(mgr ctrl.Manager, opts *options.Options, connection *rest.Config, found func(stamped bool)) error {
	if opts.Webhook.SelfTestInterval == 0 {
		return nil
	}
	direct, err := client.New(connection, client.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), FieldOwner: api.ManagerName,
	})
	if err != nil {
		return fmt.Errorf("building the client of the self-test: %w", err)
	}
	measures, err := metrics.NewSelfTest(metrics.Served())
	if err != nil {
		return err
	}
	runner := &selftest.Runner{
		Client: direct, Metrics: measures, Clock: clock.RealClock{},
		Events: events.New(mgr.GetClient(), clock.RealClock{}, instance()), Found: found,
		Options: selftest.Options{
			Namespace: opts.Manager.Namespace, Configuration: webhooks.ConfigurationName,
			Interval: opts.Webhook.SelfTestInterval, Retry: selfTestRetry, Patience: selfTestPatience,
		},
	}
	if err := mgr.Add(runner); err != nil {
		return fmt.Errorf("adding the self-test: %w", err)
	}
	return nil
}
