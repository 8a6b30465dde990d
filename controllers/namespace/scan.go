package namespace

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	clientretry "k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/jobpatch"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

// notOptedIn selects the Jobs that are not in the cache of opted-in ones.
var notOptedIn = func() labels.Selector {
	requirement, err := labels.NewRequirement(api.EnabledLabel, selection.NotEquals, []string{api.True})
	if err != nil {
		return labels.Nothing()
	}
	return labels.NewSelector().Add(*requirement)
}()

// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list

// scan stamps the Jobs of an opted-in namespace that admission missed: those that are not
// finished, and those created since the namespace opted in. It releases Jobs that opted
// out. It lists metadata only, and reads each Job that had finished before once. A
// failure with one Job does not stop the others; missed counts the Jobs that need another
// scan soon.
func (r *Reconciler) scan(ctx context.Context, namespace *metav1.PartialObjectMetadata) (missed int, err error) {
	since, err := time.Parse(time.RFC3339, namespace.Annotations[api.EnabledSinceAnnotation])
	if err != nil {
		return 0, fmt.Errorf("reading annotation %s: %w", api.EnabledSinceAnnotation, err)
	}
	seen := sets.New[types.UID]()
	err = pager.Lister{Live: r.Live, Gate: r.Lists}.Each(ctx, pager.Query{
		List:    pager.Metadata(batchv1.SchemeGroupVersion.WithKind("Job")),
		Options: client.ListOptions{Namespace: namespace.Name, LabelSelector: notOptedIn},
		Prune:   func(object client.Object) { policy.Keep(object, r.Options.Defaults) },
	}, func(object client.Object) error {
		found, isMetadata := object.(*metav1.PartialObjectMetadata)
		if !isMetadata {
			return fmt.Errorf("got a %T", object)
		}
		seen.Insert(found.UID)
		if r.visitOne(ctx, found, since) {
			missed++
		}
		return nil
	})
	if err != nil {
		return missed, fmt.Errorf("listing jobs: %w", err)
	}
	r.old.keepOnly(namespace.Name, seen)
	return missed, ctx.Err()
}

// visitOne handles one Job that was found, and reports whether another scan should come
// soon. If users have to act, it sends a Warning, and the next regular scan retries.
func (r *Reconciler) visitOne(ctx context.Context, found *metav1.PartialObjectMetadata, since time.Time) (again bool) {
	err := r.visit(ctx, found, since)
	if err == nil {
		return false
	}
	again = apierr.Of(err) != apierr.Rejected
	logger := ctrl.LoggerFrom(ctx).WithValues("job", found.Name)
	logger.Info("job not changed", "again soon", again, "cause", err.Error())
	if again {
		return true
	}
	note := "The Job cannot be marked as handled: " + err.Error()
	if err := r.Events.Warn(ctx, &batchv1.Job{ObjectMeta: found.ObjectMeta}, "stamp", note); err != nil {
		logger.V(1).Info("warning not sent", "cause", err.Error())
	}
	return false
}

// visit handles one Job that was found, again after a conflict: the Job controller keeps
// writing to running Jobs.
func (r *Reconciler) visit(ctx context.Context, found *metav1.PartialObjectMetadata, since time.Time) error {
	// A Job that is being deleted may wait for us, with our finalizer on it.
	if found.DeletionTimestamp != nil && !policy.Protected(found) || r.old.has(found) {
		return nil
	}
	if optIn, _ := policy.JobOptIn(found); optIn == policy.Out && !plan.Holds(found) {
		return nil
	}
	err := clientretry.RetryOnConflict(clientretry.DefaultBackoff, func() error {
		job := &batchv1.Job{}
		if err := r.Live.Get(ctx, client.ObjectKeyFromObject(found), job); err != nil {
			return client.IgnoreNotFound(err)
		}
		if job.UID != found.UID {
			return nil
		}
		return r.stampOrRelease(ctx, job, since)
	})
	if err != nil {
		return fmt.Errorf("updating job %s: %w", found.Name, err)
	}
	return nil
}

// stampOrRelease stamps the Job, or releases it if it opted out.
func (r *Reconciler) stampOrRelease(ctx context.Context, job *batchv1.Job, since time.Time) error {
	if optIn, _ := policy.JobOptIn(job); optIn == policy.Out {
		return r.release(ctx, job)
	}
	if jobstatus.Of(job).Finished() && job.CreationTimestamp.Time.Before(since) && !policy.Protected(job) {
		r.old.add(job)
		return nil
	}
	desired := job.DeepCopy()
	policy.Stamp(desired, r.Options.TTLFloor, plan.TemplateMutable(job), r.Options.Defaults.LeftAlone)
	return r.patch(ctx, job, desired, "stamped a job that admission missed")
}

// release restores the TTL of a Job that opted out and removes our finalizer.
func (r *Reconciler) release(ctx context.Context, job *batchv1.Job) error {
	protected := policy.Protected(job)
	if err := r.patch(ctx, job, plan.Release(job), "released a job that opted out"); err != nil {
		return err
	}
	if protected {
		r.Protection.Released(plan.ReleasedOptedOut)
	}
	return nil
}

// patch returns a conflict unchanged, for RetryOnConflict to see.
func (r *Reconciler) patch(ctx context.Context, job, desired *batchv1.Job, done string) error {
	if desired == nil {
		return nil
	}
	if err := r.Client.Patch(ctx, desired, jobpatch.From(job)); err != nil {
		return client.IgnoreNotFound(err)
	}
	ctrl.LoggerFrom(ctx).Info(done, "job", job.Name)
	return nil
}

// finishedJobs remembers Jobs that had finished before their namespace opted in, so that
// each is read once. The zero value is ready.
type finishedJobs struct {
	mu          sync.Mutex
	byNamespace map[string]sets.Set[types.UID]
}

func (f *finishedJobs) has(job metav1.Object) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byNamespace[job.GetNamespace()].Has(job.GetUID())
}

func (f *finishedJobs) add(job metav1.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byNamespace == nil {
		f.byNamespace = map[string]sets.Set[types.UID]{}
	}
	if f.byNamespace[job.GetNamespace()] == nil {
		f.byNamespace[job.GetNamespace()] = sets.New[types.UID]()
	}
	f.byNamespace[job.GetNamespace()].Insert(job.GetUID())
}

// keepOnly forgets the Jobs of a namespace that are not among those seen.
func (f *finishedJobs) keepOnly(namespace string, seen sets.Set[types.UID]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.byNamespace[namespace]; known != nil {
		f.byNamespace[namespace] = known.Intersection(seen)
	}
}

func (f *finishedJobs) forgetNamespace(namespace string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byNamespace, namespace)
}
