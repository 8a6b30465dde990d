// Package namespace reconciles Namespaces: it copies the opt-in annotation to the
// label that admission selects by, and searches opted-in Namespaces for Jobs that
// admission missed. It must not import webhooks, certs or cmd.
package namespace

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobpatch"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/retry"
)

// missedRetry is when a namespace is scanned again in which a Job could not be changed.
const missedRetry = 20 * time.Second

// Options are what the operator sets.
type Options struct {
	Defaults           policy.Defaults
	ExcludedNamespaces []string
	TTLFloor           time.Duration
	// ScanInterval is how often an opted-in Namespace is scanned for Jobs that admission
	// missed; 0 means only when the Namespace changes.
	ScanInterval time.Duration
}

// Reconciler handles Namespaces. It reconciles every Namespace when it changes and at
// start, and an opted-in one every scan interval. It is separate from the Job controller
// since it watches another kind and lists unstamped Jobs, which no cache holds.
type Reconciler struct {
	// Client reads Namespaces (metadata only) from the cache and writes.
	Client client.Client
	// Live lists and reads Jobs from the API server.
	Live client.Reader
	// Lists bounds the lists of live objects of all controllers together; nil bounds each
	// list alone.
	Lists  *pager.Gate
	Events *events.Recorder
	Clock  clock.PassiveClock
	// Admission is optional.
	Admission *Admission
	// Protection counts changes of our finalizer; nil disables counting.
	Protection *metrics.Protection
	Options    Options

	old finishedJobs
}

// CacheOptions returns which metadata of Namespaces the cache holds: what decides
// something, within bounds.
func CacheOptions() cache.ByObject {
	return cache.ByObject{Transform: func(object any) (any, error) {
		if namespace, isMetadata := object.(*metav1.PartialObjectMetadata); isMetadata {
			namespace.ManagedFields = nil
			policy.Keep(namespace, policy.Defaults{})
		}
		return object, nil
	}}
}

// SetupWithManager registers the Reconciler with mgr, whose cache must have
// CacheOptions.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	build := ctrl.NewControllerManagedBy(mgr).
		Named("namespace").
		For(&corev1.Namespace{}, builder.OnlyMetadata).
		WithOptions(controller.Options{RateLimiter: retry.Limiter()})
	if r.Admission != nil {
		build = build.WatchesRawSource(r.Admission.source(r.Client))
	}
	if err := build.Complete(r); err != nil {
		return fmt.Errorf("setting up the namespace controller: %w", err)
	}
	return nil
}

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch;patch

// Reconcile reconciles one Namespace and, if it is opted in, scans its Jobs.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if slices.Contains(r.Options.ExcludedNamespaces, request.Name) {
		return ctrl.Result{}, nil
	}
	namespace := policy.NewNamespace()
	err := r.Client.Get(ctx, request.NamespacedName, namespace)
	if apierrors.IsNotFound(err) || err == nil && namespace.DeletionTimestamp != nil {
		r.old.forgetNamespace(request.Name)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("getting namespace %s: %w", request.Name, err)
	}
	desired := namespace.DeepCopy()
	if mirror(desired, r.Clock.Now()) {
		return ctrl.Result{}, r.change(ctx, namespace, desired)
	}
	if namespace.Labels[api.EnabledLabel] != api.True {
		r.old.forgetNamespace(request.Name)
		return ctrl.Result{}, r.warnOfInvalid(ctx, namespace)
	}
	missed, err := r.scan(ctx, namespace)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("scanning namespace %s: %w", request.Name, err)
	}
	if err := r.warnOfInvalid(ctx, namespace); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: r.nextScan(missed)}, nil
}

// nextScan returns when to scan again. It is sooner if the last scan missed Jobs or if
// admission does.
func (r *Reconciler) nextScan(missed int) time.Duration {
	interval := r.Options.ScanInterval
	if r.Admission != nil && r.Admission.broken.Load() {
		interval = min(interval, brokenScan)
	}
	if missed == 0 || interval > 0 && interval < missedRetry {
		return interval
	}
	return missedRetry
}

// change patches a Namespace if it is still the state that was read. After a conflict, or
// if the Namespace is gone, a newer state will be reconciled.
func (r *Reconciler) change(ctx context.Context, from, to *metav1.PartialObjectMetadata) error {
	err := r.Client.Patch(ctx, to, jobpatch.FromNamespace(from))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("patching namespace %s: %w", from.Name, err)
	}
	ctrl.LoggerFrom(ctx).Info("namespace changed", "enabled", to.Labels[api.EnabledLabel] == api.True)
	return nil
}

// warnOfInvalid warns about invalid values on a Namespace: of its opt-in, which would
// otherwise be ignored silently, and of its defaults if it is opted in.
func (r *Reconciler) warnOfInvalid(ctx context.Context, namespace *metav1.PartialObjectMetadata) error {
	_, invalid := policy.NamespaceOptIn(namespace)
	if namespace.Labels[api.EnabledLabel] == api.True {
		_, problems := policy.Resolve(&batchv1.Job{}, namespace.Annotations, r.Options.Defaults)
		invalid = append(invalid, problems.Namespace...)
	}
	if len(invalid) == 0 {
		return nil
	}
	return r.Events.Warn(ctx, namespace, "policy",
		"Invalid values are ignored and the defaults used: "+invalid.ToAggregate().Error())
}

// mirror sets the label of the Namespace from its annotation, and enabled-since from the
// label. It reports whether it changed anything. It leaves a label alone that it did not
// set.
func mirror(namespace *metav1.PartialObjectMetadata, now time.Time) (changed bool) {
	label, labelled := namespace.Labels[api.EnabledLabel]
	mirrored := namespace.Annotations[api.EnabledMirroredAnnotation] == api.True
	wanted := namespace.Annotations[api.EnabledAnnotation] == api.True
	switch {
	case wanted && !labelled:
		set(&namespace.Labels, api.EnabledLabel, api.True)
		set(&namespace.Annotations, api.EnabledMirroredAnnotation, api.True)
		changed = true
	case mirrored && (!wanted || label != api.True):
		if label == api.True {
			delete(namespace.Labels, api.EnabledLabel)
		}
		delete(namespace.Annotations, api.EnabledMirroredAnnotation)
		changed = true
	}
	return mirrorSince(namespace, now) || changed
}

func mirrorSince(namespace *metav1.PartialObjectMetadata, now time.Time) (changed bool) {
	enabled := namespace.Labels[api.EnabledLabel] == api.True
	_, err := time.Parse(time.RFC3339, namespace.Annotations[api.EnabledSinceAnnotation])
	_, since := namespace.Annotations[api.EnabledSinceAnnotation]
	switch {
	case enabled && err != nil:
		set(&namespace.Annotations, api.EnabledSinceAnnotation, now.UTC().Format(time.RFC3339))
	case !enabled && since:
		delete(namespace.Annotations, api.EnabledSinceAnnotation)
	default:
		return false
	}
	return true
}

func set(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}
