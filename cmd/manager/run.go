package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"

	"go.uber.org/zap/zapcore"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/job-handler/job-handler/certs"
	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/controllers/namespace"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/options"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/version"
	"github.com/job-handler/job-handler/internal/writelimit"
	"github.com/job-handler/job-handler/webhooks"
)

// run builds the manager and runs it until ctx ends.
func run(ctx context.Context, opts *options.Options) error {
	setLogger(opts)
	config, err := restConfig(opts.Manager.Kubeconfig)
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	files := certs.NewFiles(opts.Webhook.CertDir)
	mgr, err := newManager(config, opts, files)
	if err != nil {
		return err
	}
	defaults, err := opts.Defaults()
	if err != nil {
		return err
	}
	if err := addControllers(ctx, mgr, opts, defaults); err != nil {
		return err
	}
	if err := addWebhooks(mgr, opts, defaults, files); err != nil {
		return err
	}
	ctrl.Log.Info("starting", "version", version.String(), "server", config.Host)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the manager: %w", err)
	}
	return nil
}

func setLogger(opts *options.Options) {
	times := func(config *zapcore.EncoderConfig) { config.EncodeTime = zapcore.RFC3339NanoTimeEncoder }
	encode := zap.JSONEncoder(times)
	if opts.TextLogs() {
		encode = zap.ConsoleEncoder(times)
	}
	logger := zap.New(encode, zap.Level(zapcore.Level(-opts.Manager.LogLevel)), zap.StacktraceLevel(zapcore.PanicLevel))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger.WithName("client-go"))
}

// restConfig turns the client's own rate limit off: API Priority and Fairness
// on the server and the limits of Options do that job.
func restConfig(kubeconfig string) (*rest.Config, error) {
	load := ctrl.GetConfig
	if kubeconfig != "" {
		load = func() (*rest.Config, error) { return clientcmd.BuildConfigFromFlags("", kubeconfig) }
	}
	config, err := load()
	if err != nil {
		return nil, fmt.Errorf("loading the connection: %w", err)
	}
	config.QPS = -1
	config.UserAgent = api.ManagerName + "/" + version.Version
	return config, nil
}

func newManager(config *rest.Config, opts *options.Options, files *certs.Files) (ctrl.Manager, error) {
	// Renewing the lease never waits for other writes.
	leases := rest.CopyConfig(config)
	config.Wrap(writelimit.New(opts.Limits.Writes))
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mgrOptions := ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{
			ByObject:         job.CacheOptions(),
			DefaultTransform: cache.TransformStripManagedFields(),
		},
		Client: client.Options{
			FieldOwner: api.ManagerName,
			Cache:      &client.CacheOptions{DisableFor: []client.Object{&corev1.ConfigMap{}, &batchv1.CronJob{}}},
		},
		Metrics:                       server.Options{BindAddress: opts.Manager.MetricsAddress},
		HealthProbeBindAddress:        opts.Manager.HealthAddress,
		LeaderElection:                opts.Manager.LeaderElect,
		LeaderElectionConfig:          leases,
		LeaderElectionID:              api.ManagerName,
		LeaderElectionNamespace:       opts.Manager.Namespace,
		LeaderElectionReleaseOnCancel: true,
	}
	if opts.Webhook.Enabled {
		mgrOptions.WebhookServer = webhook.NewServer(webhook.Options{
			Host: opts.Webhook.Host, Port: opts.Webhook.Port,
			TLSOpts: []func(*tls.Config){files.ServeFrom},
		})
	}
	mgr, err := ctrl.NewManager(config, mgrOptions)
	if err != nil {
		return nil, fmt.Errorf("building the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("adding the health check: %w", err)
	}
	return mgr, nil
}

func addControllers(ctx context.Context, mgr ctrl.Manager, opts *options.Options, defaults policy.Defaults) error {
	pods, err := corev1client.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("building the client for logs: %w", err)
	}
	redaction, err := opts.Redaction()
	if err != nil {
		return err
	}
	recorder := events.New(mgr.GetClient(), clock.RealClock{}, instance())
	jobs := &job.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: recorder, Clock: clock.RealClock{},
		Logs: joblogs.NewReader(joblogs.FromClient(pods), joblogs.Options{
			IdleTimeout: opts.Limits.LogIdleTimeout,
			Streams:     opts.Limits.LogStreams,
			MemoryBytes: opts.Limits.LogMemoryBytes(),
			Redact:      redaction,
		}),
		Options: job.Options{
			Defaults: defaults, ExcludedNamespaces: opts.Excluded(), TTLFloor: opts.Jobs.TTLFloor,
			RecheckInterval: opts.Jobs.RecheckInterval, LogDeadline: opts.Jobs.LogDeadline,
			Redact: redaction, Workers: opts.Limits.Workers,
		},
	}
	if err := jobs.SetupWithManager(ctx, mgr); err != nil {
		return err
	}
	namespaces := &namespace.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: recorder, Clock: clock.RealClock{},
		Options: namespace.Options{
			Defaults: defaults, ExcludedNamespaces: opts.Excluded(),
			TTLFloor: opts.Jobs.TTLFloor, ScanInterval: opts.Jobs.ScanInterval,
		},
	}
	return namespaces.SetupWithManager(mgr)
}

func addWebhooks(mgr ctrl.Manager, opts *options.Options, defaults policy.Defaults, files *certs.Files) error {
	if !opts.Webhook.Enabled {
		return addReadiness(mgr, "ready", healthz.Ping)
	}
	webhooks.Register(mgr.GetWebhookServer(), webhooks.Options{
		Namespaces: mgr.GetClient(), ExcludedNamespaces: opts.Excluded(),
		Defaults: defaults, TTLFloor: opts.Jobs.TTLFloor,
	})
	return addCertificates(mgr, opts, files)
}

func addReadiness(mgr ctrl.Manager, name string, check healthz.Checker) error {
	if err := mgr.AddReadyzCheck(name, check); err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	return nil
}

// instance names this process in Events.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		return api.ManagerName
	}
	return api.ManagerName + "-" + host
}
