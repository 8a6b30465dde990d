package oracle_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/controllers/namespace"
	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/resultstore"
	"github.com/job-handler/job-handler/internal/serverclock"
	"github.com/job-handler/job-handler/internal/writelimit"
)

const (
	ttlFloor = time.Hour
	// recheckInterval is what the flag's default is.
	recheckInterval = 30 * time.Second
	logDeadline     = 15 * time.Minute
	resultsBytes    = 2 << 20
	workers         = 8
)

// process is a manager that runs, as far as it handles Jobs.
type process struct {
	*link
	lines  *lines
	cancel context.CancelFunc
	ended  chan struct{}
}

// settings are what is different from the defaults in a process.
type settings struct {
	// fast is by how much its machine's clock is ahead.
	fast time.Duration
	// workers is how many Jobs it looks at at the same time; 0: some.
	workers int
	// scan is how often it looks for Jobs that admission missed; 0: at the start.
	scan time.Duration
}

// skewed is a machine's clock that is off.
type skewed struct {
	clock.RealClock
	fast time.Duration
}

// Now implements clock.PassiveClock.
func (s skewed) Now() time.Time { return s.RealClock.Now().Add(s.fast) }

// Since implements clock.PassiveClock.
func (s skewed) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

// startProcess starts a manager with this connection, in these namespaces. It
// ends when its link dies.
func startProcess(ctx context.Context, account *rest.Config, l *link, set settings, namespaces ...string) (*process, error) {
	connection := rest.CopyConfig(account)
	connection.UserAgent = api.ManagerName + "/oracle"
	machine := skewed{fast: set.fast}
	now := serverclock.New(machine)
	connection.Wrap(l.wrap)
	connection.Wrap(now.Wrap)
	connection.Wrap(writelimit.New(32))
	p := &process{link: l, lines: &lines{}, ended: make(chan struct{})}
	mgr, err := ctrl.NewManager(connection, ctrl.Options{
		Scheme: scheme.Scheme, Logger: p.lines.logger(),
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper(), nil },
		Cache:          cacheOptions(namespaces),
		Client: client.Options{
			FieldOwner: api.ManagerName,
			Cache:      &client.CacheOptions{DisableFor: []client.Object{&corev1.ConfigMap{}, &corev1.Secret{}, &batchv1.CronJob{}}},
		},
		Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		// Many run in this process.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		return nil, fmt.Errorf("making a manager: %w", err)
	}
	pods, err := corev1client.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	logs := joblogs.NewReader(joblogs.FromClient(pods), joblogs.Options{ResultsBytes: resultsBytes, Clock: machine})
	recorder := events.New(mgr.GetClient(), now, "manager-0")
	known, store := &ledger.Ledger{}, &resultstore.Store{Client: mgr.GetClient(), Live: mgr.GetAPIReader()}
	jobs := &job.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clock: now, Events: recorder,
		Store: store, Ledger: known, Logs: logs,
		PodLogs: &podlogs.Keeper{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clock: now, Events: recorder, Store: store, Ledger: known,
			Captures: capture.New(logs, capture.Options{Clock: machine}),
			Options:  podlogs.Options{MaxResultsBytes: resultsBytes},
		},
		Options: job.Options{
			TTLFloor: ttlFloor, RecheckInterval: recheckInterval, LogDeadline: logDeadline,
			ProtectDeadline: time.Hour, MaxResultsBytes: resultsBytes, Workers: cmp.Or(set.workers, workers),
		},
	}
	missed := &namespace.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clock: now, Events: recorder,
		Options: namespace.Options{TTLFloor: ttlFloor, ScanInterval: set.scan},
	}
	running, cancel := context.WithCancel(ctx)
	if err := errors.Join(jobs.SetupWithManager(running, mgr), missed.SetupWithManager(mgr)); err != nil {
		cancel()
		return nil, err
	}
	p.cancel = cancel
	go func() {
		defer close(p.ended)
		if err := mgr.Start(running); err != nil && !l.died() && ctx.Err() == nil {
			p.lines.add("the manager ended: " + err.Error())
		}
	}()
	go func() {
		select {
		case <-l.dead:
		case <-running.Done():
		}
		cancel()
	}()
	return p, nil
}

// cacheOptions are those of cmd/manager, for these namespaces alone.
func cacheOptions(namespaces []string) cache.Options {
	watched := map[string]cache.Config{}
	for _, name := range namespaces {
		watched[name] = cache.Config{}
	}
	byObject := job.CacheOptions(policy.Defaults{})
	// Others are for other managers.
	names, err := labels.NewRequirement(corev1.LabelMetadataName, selection.In, namespaces)
	if err != nil {
		panic(err)
	}
	others := namespace.CacheOptions()
	others.Label = labels.NewSelector().Add(*names)
	byObject[policy.NewNamespace()] = others
	return cache.Options{
		ByObject: byObject, DefaultNamespaces: watched, DefaultTransform: cache.TransformStripManagedFields(),
	}
}

// mapper knows the kinds that are used without asking.
func mapper() meta.RESTMapper {
	known := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"Job", "JobList", "CronJob"} {
		known.Add(batchv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	for _, kind := range []string{"Pod", "PodList", "ConfigMap", "Secret"} {
		known.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	known.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	known.Add(eventsv1.SchemeGroupVersion.WithKind("Event"), meta.RESTScopeNamespace)
	return known
}

// boilerplate is in every line.
var boilerplate = regexp.MustCompile(` ?"(controller|controllerGroup|controllerKind|Job|namespace|reconcileID)"=("[^"]*"|\{[^}]*\})`)

// lines is what a process logs.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) logger() logr.Logger {
	return funcr.New(func(_, args string) { l.add(boilerplate.ReplaceAllString(args, "")) },
		funcr.Options{Verbosity: 1, LogTimestamp: true, TimestampFormat: "15:04:05.000"})
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

// logged reports whether a line has the text.
func (p *process) logged(text string) bool { return p.count(text) > 0 }

// count returns how many lines have the text.
func (p *process) count(text string) int {
	p.lines.mu.Lock()
	defer p.lines.mu.Unlock()
	n := 0
	for _, line := range p.lines.all {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// last returns the last n lines.
func (l *lines) last(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all[max(0, len(l.all)-n):], "\n")
}
