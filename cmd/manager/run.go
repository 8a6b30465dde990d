package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/job-handler/job-handler/certs"
	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/controllers/namespace"
	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/options"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/serverclock"
	"github.com/job-handler/job-handler/internal/version"
	"github.com/job-handler/job-handler/internal/writelimit"
	"github.com/job-handler/job-handler/webhooks"
)

// cacheSyncTimeout is how long the controllers wait for their caches at the start. After
// that the process ends, and its webhook with it. It is long because the API server may
// be slow, or have many large Jobs, and a restart would only list them again. Readiness
// does not depend on it.
const cacheSyncTimeout = 24 * time.Hour

// run builds the manager and runs it until ctx ends.
func run(ctx context.Context, opts *options.Options) error {
	setLogger(opts)
	followMemoryLimit(ctx, memlimit.FromCgroup, ctrl.Log)
	paceGarbageCollection(ctx)
	config, err := restConfig(opts.Manager.Kubeconfig)
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	p := &parts{
		opts: opts, files: certs.NewFiles(opts.Webhook.CertDir), config: config, direct: rest.CopyConfig(config),
		admission: namespace.NewAdmission(), clock: serverclock.New(clock.RealClock{}),
		lists: pager.NewGate(pager.DefaultBytes),
	}
	p.config.Wrap(p.clock.Wrap)
	p.config.Wrap(writelimit.New(opts.Limits.Writes))
	p.config.Wrap(pager.Transport)
	p.server = newWebhookServer(opts, p.files)
	if p.defaults, err = opts.Defaults(); err != nil {
		return err
	}
	mgr, err := p.newManager()
	if err != nil {
		return err
	}
	for _, add := range []func(context.Context, ctrl.Manager) error{addCacheReadiness, p.addControllers, p.addKeeper, p.addWebhooks} {
		if err := add(ctx, mgr); err != nil {
			return err
		}
	}
	ctrl.Log.Info("starting", "version", version.String(), "server", config.Host)
	err = mgr.Start(ctx)
	p.podLogs.Wait()
	if err != nil {
		return fmt.Errorf("running the manager: %w", err)
	}
	return p.server.finish()
}

// parts has what the manager consists of.
type parts struct {
	opts     *options.Options
	defaults policy.Defaults
	files    *certs.Files
	server   *webhookServer
	// config is the connection to the API server with a limit on writes. direct bypasses
	// the write limiter.
	config, direct *rest.Config
	// admission has what the self-test finds, for the scan for missed Jobs.
	admission *namespace.Admission
	// clock is the API server's: its time is compared with times in Jobs.
	clock *serverclock.Clock
	// lists bounds all lists of live objects together.
	lists *pager.Gate
	// jobs handles Jobs.
	jobs *job.Reconciler
	// podLogs keeps logs of deleted pods, and saves them when the manager ends.
	podLogs *podlogs.Keeper
}

// restConfig turns the client's own rate limit off: API Priority and Fairness on the
// server and the limits of Options replace it.
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

func (p *parts) newManager() (ctrl.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	options := ctrl.Options{
		Scheme:         scheme,
		MapperProvider: newMapper,
		Cache:          p.cacheOptions(),
		Client: client.Options{
			FieldOwner: api.ManagerName,
			Cache:      &client.CacheOptions{DisableFor: []client.Object{&corev1.ConfigMap{}, &corev1.Secret{}, &batchv1.CronJob{}}},
		},
		Metrics:                       metricsOptions(p.opts, p.files, p.direct),
		HealthProbeBindAddress:        p.opts.Manager.HealthAddress,
		PprofBindAddress:              p.opts.Manager.PprofAddress,
		LeaderElection:                p.opts.Manager.LeaderElect,
		LeaderElectionConfig:          p.direct,
		LeaderElectionID:              api.ManagerName,
		LeaderElectionNamespace:       p.opts.Manager.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(shutdownTimeout),
		Controller:                    ctrlconfig.Controller{CacheSyncTimeout: cacheSyncTimeout},
	}
	if p.opts.Webhook.Enabled {
		options.WebhookServer = p.server
	}
	mgr, err := ctrl.NewManager(p.config, options)
	if err != nil {
		return nil, fmt.Errorf("building the manager: %w", err)
	}
	// A manager that answers at all is healthy: a restart does not bring back an API
	// server that is away.
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("adding the health check: %w", err)
	}
	return mgr, nil
}

// cacheOptions says what is cached, and bounds the lists of informers as other lists.
func (p *parts) cacheOptions() cache.Options {
	byObject := job.CacheOptions(p.defaults)
	byObject[policy.NewNamespace()] = namespace.CacheOptions()
	return cache.Options{
		ByObject: byObject, DefaultTransform: cache.TransformStripManagedFields(),
		NewInformer: pager.Informers(p.lists, func(kind runtime.Object) toolscache.TransformFunc {
			for object, options := range byObject {
				if reflect.TypeOf(object) == reflect.TypeOf(kind) {
					return options.Transform
				}
			}
			return nil
		}),
	}
}

func (p *parts) addControllers(ctx context.Context, mgr ctrl.Manager) error {
	counts, err := newMeasures()
	if err != nil {
		return err
	}
	recorder := events.New(mgr.GetClient(), p.clock, instance())
	if err := p.addJobs(ctx, mgr, recorder, counts); err != nil {
		return err
	}
	namespaces := &namespace.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Lists: p.lists, Events: recorder, Clock: p.clock,
		Admission: p.admission, Protection: counts.protection,
		Options: namespace.Options{
			Defaults: p.defaults, ExcludedNamespaces: p.opts.Excluded(),
			TTLFloor: p.opts.Jobs.TTLFloor, ScanInterval: p.opts.Jobs.ScanInterval,
		},
	}
	return namespaces.SetupWithManager(mgr)
}

// addJobs adds the controller of Jobs, and the Keeper of logs of deleted pods.
func (p *parts) addJobs(ctx context.Context, mgr ctrl.Manager, recorder *events.Recorder, counts *measures) error {
	redaction, err := p.opts.Redaction()
	if err != nil {
		return err
	}
	logs, err := p.newLogs(mgr, counts, redaction)
	if err != nil {
		return err
	}
	captures, captureCounts, err := p.newCaptures(logs)
	if err != nil {
		return err
	}
	store, err := p.addRetention(mgr)
	if err != nil {
		return err
	}
	known := &ledger.Ledger{}
	p.podLogs = &podlogs.Keeper{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Lists: p.lists,
		Captures: captures, Metrics: captureCounts, Store: store, Events: recorder, Clock: p.clock, Ledger: known,
		Options: podlogs.Options{
			Defaults: p.defaults, ExcludedNamespaces: p.opts.Excluded(),
			MaxResultsBytes: p.opts.Limits.MaxResultsBytes(), Redact: redaction,
		},
	}
	p.jobs = &job.Reconciler{
		Ledger: known, PodLogs: p.podLogs, Logs: logs, Store: store,
		Jobs: counts.jobs, Protection: counts.protection,
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Lists: p.lists, Events: recorder, Clock: p.clock,
		Warnings: events.NewWarnings(pager.Lister{Live: mgr.GetAPIReader(), Gate: p.lists}, clock.RealClock{}, counts.jobs),
		Options: job.Options{
			Defaults: p.defaults, ExcludedNamespaces: p.opts.Excluded(), TTLFloor: p.opts.Jobs.TTLFloor,
			RecheckInterval: p.opts.Jobs.RecheckInterval, LogDeadline: p.opts.Jobs.LogDeadline,
			ProtectDeadline: p.opts.Jobs.ProtectDeadline,
			MaxResultsBytes: p.opts.Limits.MaxResultsBytes(), Redact: redaction, Workers: p.opts.Limits.Workers,
		},
	}
	if err := p.jobs.SetupWithManager(ctx, mgr); err != nil {
		return err
	}
	return metrics.NewBacklog(metrics.Served(), func() metrics.Backlog {
		jobs, oldest := known.Backlog(p.clock.Now())
		return metrics.Backlog{Jobs: jobs, Oldest: oldest}
	})
}

// newLogs returns the Reader of pods' logs.
func (p *parts) newLogs(mgr ctrl.Manager, counts *measures, redaction *redact.Set) (*joblogs.Reader, error) {
	pods, err := corev1client.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("building the client for logs: %w", err)
	}
	return joblogs.NewReader(joblogs.FromClient(pods), joblogs.Options{
		Metrics:      counts.reading,
		IdleTimeout:  p.opts.Limits.LogIdleTimeout,
		Streams:      p.opts.Limits.LogStreams,
		MemoryBytes:  p.opts.Limits.LogMemoryBytes(),
		ResultsBytes: p.opts.Limits.MaxResultsBytes(),
		Redact:       redaction,
	}), nil
}

// newCaptures returns the Captures of deleted pods, and their metrics.
func (p *parts) newCaptures(logs *joblogs.Reader) (*capture.Captures, *metrics.Captures, error) {
	followed, err := metrics.NewFollow(metrics.Served())
	if err != nil {
		return nil, nil, fmt.Errorf("setting up the capture of logs: %w", err)
	}
	captures := capture.New(logs, capture.Options{
		MemoryBytes: p.opts.Limits.CaptureMemoryBytes(), Metrics: followed,
		Streams: p.opts.Limits.CaptureStreams, FollowStreams: p.opts.Limits.FollowStreams,
	})
	counts, err := metrics.NewCaptures(metrics.Served(), func() metrics.CaptureStats {
		return metrics.CaptureStats(captures.Stats())
	})
	if err != nil {
		return nil, nil, fmt.Errorf("setting up the capture of logs: %w", err)
	}
	return captures, counts, nil
}

func (p *parts) addWebhooks(_ context.Context, mgr ctrl.Manager) error {
	if !p.opts.Webhook.Enabled {
		return nil
	}
	requests, err := metrics.NewAdmission(metrics.Served())
	if err != nil {
		return err
	}
	webhooks.Register(mgr.GetWebhookServer(), webhooks.Options{
		Namespaces: mgr.GetClient(), ExcludedNamespaces: p.opts.Excluded(),
		Defaults: p.defaults, TTLFloor: p.opts.Jobs.TTLFloor, RetentionOff: p.opts.Retention.Off(),
		Metrics: requests,
	})
	if err := addCertificates(mgr, p.opts, p.server, p.files); err != nil {
		return err
	}
	return addSelfTest(mgr, p.opts, p.direct, p.admission.Found)
}

// instance returns the name of this process in Events.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		return api.ManagerName
	}
	return api.ManagerName + "-" + host
}
