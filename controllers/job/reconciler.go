// Package job reconciles Jobs: it observes each opted-in Job, package plan decides,
// and it performs the decision. It decides how to perform an action, not which one.
// It must not import webhooks, certs or cmd.
package job

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/atwork"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/lookup"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultstore"
	"github.com/job-handler/job-handler/internal/retry"
)

// LogCollector reads the logs of pods, as joblogs.Reader does.
type LogCollector interface {
	Collect(ctx context.Context, pods []*corev1.Pod) (collected []results.Pod, release func(), err error)
}

// Options are what the operator sets.
type Options struct {
	Defaults           policy.Defaults
	ExcludedNamespaces []string
	TTLFloor           time.Duration
	// RecheckInterval is how often a running Job is reconciled again; 0 means only when
	// it changes.
	RecheckInterval time.Duration
	// LogDeadline is how long reading logs is retried.
	LogDeadline time.Duration
	// ProtectDeadline is how long our finalizer may delay the deletion of a finished Job.
	ProtectDeadline time.Duration
	// MaxResultsBytes bounds the results of one Job, parts included; 0 means
	// api.MaxResultsBytes.
	MaxResultsBytes int
	// Redact replaces credentials in messages; nil disables that. Logs are redacted by
	// joblogs.
	Redact *redact.Set
	// Workers is the number of Jobs processed concurrently.
	Workers int
}

// excludes reports whether Jobs of a namespace are not handled.
func (o *Options) excludes(namespace string) bool {
	return slices.Contains(o.ExcludedNamespaces, namespace)
}

// Reconciler handles opted-in Jobs. A Job is enqueued when it changes, when a re-check is
// due, and when it leaves the label-selected watch while a finalizer, TTL or label of
// ours is on it. Each pass observes, decides and acts once; a pass that stored results
// goes on to the deletion.
type Reconciler struct {
	// Client reads Jobs, pods and Namespaces from the cache and writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Lists bounds the lists of live objects of all controllers together; nil bounds each
	// list alone.
	Lists *pager.Gate
	Logs  LogCollector
	// PodLogs keeps logs of pods that are deleted before their Job is stored.
	PodLogs *podlogs.Keeper
	// Store keeps results.
	Store  *resultstore.Store
	Events *events.Recorder
	// Warnings reads the Events of Jobs that failed; nil means that results have none.
	Warnings *events.Warnings
	Clock    clock.PassiveClock
	// Ledger remembers what this process knows of Jobs.
	Ledger *ledger.Ledger
	// Protection counts changes of our finalizer; nil disables counting.
	Protection *metrics.Protection
	// AtWork gives Jobs their turn; nil means at once.
	AtWork *atwork.Keeper
	// Jobs counts outcomes of Jobs; nil disables counting.
	Jobs    *metrics.Jobs
	Options Options

	cronJobs  cronJobs
	large     large
	explained explanations
}

// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch

// Reconcile reconciles one Job.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	again := r.countLost(ctx, request.NamespacedName)
	result, err := r.reconcile(ctx, request)
	if err != nil {
		return result, err
	}
	result.RequeueAfter = retry.Sooner(result.RequeueAfter, again)
	return result, nil
}

func (r *Reconciler) reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	job := &batchv1.Job{}
	err := r.Client.Get(ctx, request.NamespacedName, job)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("getting job %s: %w", request.NamespacedName, err)
	}
	switch excluded := r.Options.excludes(request.Namespace); {
	case excluded && !plan.Holds(job), err != nil && r.Ledger.WasDeleted(request.NamespacedName):
		return ctrl.Result{}, nil
	case excluded, err != nil:
		return r.release(ctx, request.NamespacedName)
	case r.Ledger.Behind(job, r.Clock.Now()):
		return ctrl.Result{RequeueAfter: cacheCatchUp}, nil
	case r.Ledger.StillCached(job, r.Clock.Now()):
		return ctrl.Result{RequeueAfter: ledger.CatchUp}, nil
	}
	result, err := r.handle(ctx, job)
	result, err = r.answer(ctx, job, result, err)
	return inTime(job, result, r.Options.ProtectDeadline, r.Clock.Now()), err
}

func (r *Reconciler) handle(ctx context.Context, job *batchv1.Job) (ctrl.Result, error) {
	observed, err := r.observe(ctx, job)
	if err != nil {
		return ctrl.Result{}, err
	}
	r.counts().held(job)
	warnOfTTL(ctx, r.Events, r.Options.Defaults.LeftAlone, observed)
	decision := plan.Decide(observed, r.Clock.Now())
	ctrl.LoggerFrom(ctx).V(1).Info("decided", "action", decision.Action, "why", decision.Why)
	result, err := r.act(ctx, observed, decision)
	if err != nil && decision.Overdue {
		return ctrl.Result{}, r.giveUp(ctx, job, err)
	}
	return result, err
}

func (r *Reconciler) carryOut(ctx context.Context, observed plan.Observation, decision plan.Decision) (ctrl.Result, error) {
	switch decision.Action {
	case plan.Wait:
		return recheck(r.Options.RecheckInterval), nil
	case plan.Change:
		return r.changeSafely(ctx, observed.Job, decision)
	case plan.Store:
		return r.store(ctx, observed, decision)
	case plan.Delete:
		return r.remove(ctx, observed.Job)
	default:
		return ctrl.Result{}, nil
	}
}

// cacheCatchUp is when a Job is reconciled again if the cache still shows it as it was
// before a write of this process.
const cacheCatchUp = 200 * time.Millisecond

// recheck enqueues the Job behind fresh work.
func recheck(interval time.Duration) ctrl.Result {
	if interval == 0 {
		return ctrl.Result{}
	}
	return ctrl.Result{RequeueAfter: interval, Priority: new(recheckPriority)}
}

// release handles a Job that left the cache because its label is gone. Usually the Job is
// deleted. If its annotation or its Namespace still opts it in, it gets the label again,
// unless another client keeps removing it. Otherwise release restores its TTL and removes
// our finalizer.
func (r *Reconciler) release(ctx context.Context, key types.NamespacedName) (ctrl.Result, error) {
	done, err := r.large.read(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	defer done()
	job := &batchv1.Job{}
	if err := r.Live.Get(ctx, key, job); err != nil {
		return r.answer(ctx, job, ctrl.Result{}, client.IgnoreNotFound(err))
	}
	namespace, err := lookup.Namespace(ctx, r.Client, job.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	desired := withoutLabel(job, namespace, r.Options.excludes(job.Namespace), &r.Options)
	if desired == nil {
		return ctrl.Result{}, nil
	}
	back := givesLabel(job, desired)
	if left := r.Ledger.LeaveLabel(job, r.Clock.Now()); back && left > 0 {
		warnOfLabel(ctx, r.Events, job)
		return ctrl.Result{RequeueAfter: left}, nil
	}
	leave, entered := r.large.enter(job)
	if !entered {
		return largeLater(), nil
	}
	defer leave()
	_, err = r.change(ctx, job, desired)
	if err == nil {
		r.counts().release(job, desired, plan.ReleasedOptedOut)
	}
	if err == nil && back {
		r.Ledger.GaveLabel(job, r.Clock.Now())
	}
	return r.answer(ctx, job, ctrl.Result{}, err)
}

// withoutLabel returns the desired state of a Job that lost its label, nil if nothing is
// to change.
func withoutLabel(job *batchv1.Job, namespace metav1.Object, excluded bool, options *Options) *batchv1.Job {
	jobWish, _ := policy.JobOptIn(job)
	namespaceWish, _ := policy.NamespaceOptIn(namespace)
	if excluded || !policy.Handled(jobWish, namespaceWish) {
		return plan.Release(job)
	}
	desired := job.DeepCopy()
	if !policy.Stamp(desired, options.TTLFloor, plan.TemplateMutable(job), options.Defaults.LeftAlone) {
		return nil
	}
	return desired
}

// givesLabel reports whether desired has the label that job lacks.
func givesLabel(job, desired *batchv1.Job) bool {
	return job.Labels[api.EnabledLabel] != api.True && desired.Labels[api.EnabledLabel] == api.True
}
