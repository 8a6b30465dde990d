package job

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
	"github.com/job-handler/job-handler/internal/trouble"
)

const (
	// spillsAtOnce is of how many Jobs captures are stored at the same time, and
	// spillTimeout how long one may take, so that a namespace whose webhooks hang
	// holds nobody up for long.
	spillsAtOnce = 4
	spillTimeout = 10 * time.Second
	// lastSpills is how long a process that ends stores what it has captured. The
	// lease is given back after that.
	lastSpills = 7 * time.Second
)

// Spill stores beside their Jobs, once, the captures that are due, and returns
// after how long there may be more; 0 means when Captures say so. A failure is the
// Job's alone, and is tried again.
func (r *Reconciler) Spill(ctx context.Context) time.Duration {
	due, next := r.Captures.Due()
	var ready []capture.Owed
	for _, owed := range due {
		if wait := r.spills.wait(owed.Job, r.Clock.Now()); wait > 0 {
			next = sooner(next, wait)
			continue
		}
		ready = append(ready, owed)
	}
	r.spillEach(ctx, ready, false)
	for _, owed := range ready {
		if wait := r.spills.wait(owed.Job, r.Clock.Now()); wait > 0 {
			next = sooner(next, wait)
		}
	}
	return next
}

// sooner returns the shorter of two times to wait, where 0 means for ever.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b < a {
		return b
	}
	return a
}

// SpillAll stores beside their Jobs all captures that are not stored, as far as it
// gets until ctx ends: it is the last thing that a process does with them.
func (r *Reconciler) SpillAll(ctx context.Context) {
	r.spillEach(ctx, r.Captures.Unstored(), true)
}

// spillEach stores the captures of each Job that are due, or all of them.
func (r *Reconciler) spillEach(ctx context.Context, owed []capture.Owed, all bool) {
	var group errgroup.Group
	group.SetLimit(spillsAtOnce)
	for _, each := range owed {
		group.Go(func() error {
			r.spillJob(ctx, each, all)
			return nil
		})
	}
	// There is no error to return: each is answered where it happens.
	_ = group.Wait()
}

// spillJob stores captures of one Job, if that still wants to know of its pods.
func (r *Reconciler) spillJob(ctx context.Context, owed capture.Owed, all bool) {
	job := r.jobOf(ctx, owed.Pod)
	if job == nil {
		r.forgetSpills(owed.Job)
		r.Captures.Forget(owed.Job)
		return
	}
	if err := r.spillPods(ctx, job, all); err != nil && ctx.Err() == nil {
		r.answerSpill(ctx, job, err)
	}
}

// spillPods stores the Job's captures, object after object.
func (r *Reconciler) spillPods(ctx context.Context, job *batchv1.Job, all bool) error {
	kind, err := r.kindWanted(ctx, job)
	if err != nil {
		return err
	}
	for {
		batch, err := r.nextBatch(job, kind, all)
		if err != nil || batch == nil {
			return err
		}
		if err := r.storeBatch(ctx, job, kind, batch); err != nil {
			batch.Release()
			if trouble.TooLarge(err) && r.spills.smaller(job.UID) {
				continue
			}
			return err
		}
		batch.Stored()
		batch.Release()
		r.Metrics.Spilled(batch.Pods, batch.Bytes)
		r.spills.stored(job.UID, kind, r.Clock.Now())
		ctrl.LoggerFrom(ctx).V(1).Info("captured pods stored beside their job", "namespace", job.Namespace, "job", job.Name, "pods", batch.Pods)
		if !all && r.spills.wait(job.UID, r.Clock.Now()) > 0 {
			return nil
		}
	}
}

// kindWanted returns the kind of object that the Job's results go into, and so
// what is captured of it.
func (r *Reconciler) kindWanted(ctx context.Context, job *batchv1.Job) (string, error) {
	namespace, err := r.namespaceOf(ctx, job)
	if err != nil {
		return "", err
	}
	wanted, _ := policy.Resolve(job, namespace.Annotations, r.Options.Defaults)
	return wanted.ResultsKind, nil
}

var (
	// errSpillsFull says that no more is stored of a Job's captures before its end.
	errSpillsFull = errors.New("as much is stored of its deleted pods as may be before its end; what else there is, is in memory only")
	// errSpillsOverBudget says the same where results take more than they may.
	errSpillsOverBudget = errors.New("little is stored of deleted pods")
)

const (
	// shrunkSpillBytes is what objects with captures of a Job may hold together above
	// a budget, and shrunkPodBytes what the logs of one pod take of that: the last
	// words of some twenty pods.
	shrunkSpillBytes = 128 << 10
	shrunkPodBytes   = 4 << 10
)

// spillBytes is what objects with captures of a Job may hold together where results
// may take so much.
func spillBytes(results int) int { return min(spillCopies*results, results+mostSpilled) }

// nextBatch returns what is to be stored next of the Job, nil if there is nothing.
func (r *Reconciler) nextBatch(job *batchv1.Job, kind string, all bool) (*capture.Batch, error) {
	total, full := spillBytes(r.sizes()[0]), errSpillsFull
	options := capture.PackOptions{Due: !all, MaxBytes: api.MaxResultsBytes, Redact: r.Options.Redact}
	if budget := r.Holdings.Over(job.Namespace); budget != retain.WithinBudget {
		total, full = shrunkSpillBytes, fmt.Errorf("%w: %s", errSpillsOverBudget, r.exceeded(job.Namespace, budget))
		options.MaxBytes, options.MaxPodBytes, options.Short = results.MinBytes, shrunkPodBytes, shortCapture(budget)
	}
	room := r.spills.room(job.UID, total)
	options.MaxBytes = min(options.MaxBytes, max(room, results.MinBytes))
	batch, err := r.Captures.Pack(job.UID, options)
	if err != nil {
		return nil, fmt.Errorf("packing captures of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	if batch != nil && (room == 0 || r.spills.number(job.UID, kind) >= maxSpills) {
		batch.Release()
		return nil, full
	}
	return batch, nil
}

// shortCapture is what results say of a log that was shortened for a budget before
// its Job had finished, if nothing else has all of it by then.
func shortCapture(budget retain.Budget) results.Capture {
	return results.Capture{
		Reason:  budgetReason(budget),
		Message: "the pod was deleted while results took more than they may, and little of its log was saved until the Job finished",
	}
}

// storeBatch creates the object of the first number that is free, or finds that
// it is there already.
func (r *Reconciler) storeBatch(ctx context.Context, job *batchv1.Job, kind string, batch *capture.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, spillTimeout)
	defer cancel()
	for number := r.spills.number(job.UID, kind); number < maxSpills; number++ {
		wanted := newSpill(kind, job, spillKey(job, number), batch.Values)
		digest := wanted.GetAnnotations()[api.SHA256Annotation]
		err := r.Client.Create(ctx, wanted)
		if apierrors.IsAlreadyExists(err) {
			ours, bytes, err := r.spilledBefore(ctx, kind, wanted)
			if err != nil {
				return err
			}
			r.spills.taken(job.UID, kind, number, bytes)
			r.spills.met(job.UID)
			if ours == digest {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("storing captured logs in %s %s: %w", kind, wanted.GetName(), r.explain(kind, job.Namespace, err))
		}
		r.spills.taken(job.UID, kind, number, batch.Bytes)
		r.Holdings.Stored(kind, wanted)
		// What the server made of it: an admission webhook may have changed it.
		if _, err := spillValues(wanted, job); err != nil {
			return fmt.Errorf("storing captured logs in %s %s: %w", kind, wanted.GetName(), err)
		}
		r.spills.holds(job.UID, kind, wanted)
		return nil
	}
	return errSpillsFull
}

// spilledBefore returns the digest and the size of an object that has the name of
// wanted, as its annotations tell them; "" and 0 of one that is not for this Job.
func (r *Reconciler) spilledBefore(ctx context.Context, kind string, wanted client.Object) (digest string, bytes int, err error) {
	key := client.ObjectKeyFromObject(wanted)
	there := &metav1.PartialObjectMetadata{}
	gvk, err := apiutil.GVKForObject(wanted, r.Client.Scheme())
	if err != nil {
		return "", 0, fmt.Errorf("finding the kind of %s: %w", key, err)
	}
	there.SetGroupVersionKind(gvk)
	if err := r.Live.Get(ctx, key, there); err != nil {
		return "", 0, conflictIfGone(kind, key.Name, fmt.Errorf("getting captured logs %s: %w", key, r.explain(kind, key.Namespace, err)))
	}
	if there.Labels[api.CaptureOfLabel] != wanted.GetLabels()[api.CaptureOfLabel] {
		return "", 0, nil
	}
	bytes, err = strconv.Atoi(there.Annotations[api.BytesAnnotation])
	if err != nil || bytes < 0 || bytes > api.MaxResultsBytes {
		return "", 0, nil //nolint:nilerr // anybody may edit annotations: it is not what we made
	}
	return there.Annotations[api.SHA256Annotation], bytes, nil
}

// answerSpill decides when to try again after an error, and tells of it.
func (r *Reconciler) answerSpill(ctx context.Context, job *batchv1.Job, err error) {
	class := classifySpill(err)
	r.Metrics.SpillFailed(spillFailure(class, err))
	logger := ctrl.LoggerFrom(ctx).WithValues("namespace", job.Namespace, "job", job.Name)
	if class == trouble.Gone && !r.stillThere(ctx, job) {
		logger.V(1).Info("captured pods not stored, their job is gone", "cause", err.Error())
		r.forget(job.UID)
		return
	}
	failures := r.spills.failed(job.UID)
	wait := min(longestSpillRetry, firstSpillRetry<<min(failures-1, 10))
	if class == trouble.Refused {
		wait = min(longestRefusedRetry, firstRefusedRetry<<min(failures-1, 10))
		r.warn(ctx, job, "spill/"+trouble.Cause(err), "Logs of deleted pods of this Job are in the manager's memory only: "+err.Error())
	}
	r.spills.pause(job.UID, r.Clock.Now().Add(wait))
	logger.Info("captured pods not stored, trying again", "after", wait, "cause", err.Error())
}

func classifySpill(err error) trouble.Class {
	if errors.Is(err, errSpillsFull) || errors.Is(err, errSpillsOverBudget) || unlike(err) {
		return trouble.Refused
	}
	return trouble.Of(err)
}

// spillFailure returns the value with which metrics count err.
func spillFailure(class trouble.Class, err error) metrics.SpillFailure {
	switch class {
	case trouble.Gone:
		return metrics.SpillGone
	case trouble.Conflict, trouble.Passing:
		return metrics.SpillPassing
	case trouble.Refused:
	}
	if errors.Is(err, errSpillsOverBudget) {
		return metrics.SpillBudget
	}
	switch trouble.Cause(err) {
	case "quota":
		return metrics.SpillQuota
	case "rights":
		return metrics.SpillRights
	case "size":
		return metrics.SpillSize
	default:
		return metrics.SpillOther
	}
}
