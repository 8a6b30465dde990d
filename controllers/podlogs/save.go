package podlogs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/holdings"
	"github.com/job-handler/job-handler/internal/lookup"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultstore"
	"github.com/job-handler/job-handler/internal/retain"
	"github.com/job-handler/job-handler/internal/retry"
)

const (
	// savesAtOnce is of how many Jobs captures are stored at the same time, and
	// saveTimeout how long one may take, so that a namespace whose webhooks hang
	// holds nobody up for long.
	savesAtOnce = 4
	saveTimeout = 10 * time.Second
	// lastSaves is how long a process that ends stores what it has captured. The
	// lease is given back after that.
	lastSaves = 7 * time.Second
)

// Save stores beside their Jobs, once, the captures that are due, and returns
// after how long there may be more; 0 means when Captures say so. A failure is the
// Job's alone, and is tried again.
func (k *Keeper) Save(ctx context.Context) time.Duration {
	due, next := k.Captures.Due()
	var ready []capture.Owed
	for _, owed := range due {
		if wait := k.saved.wait(owed.Job, k.Clock.Now()); wait > 0 {
			next = retry.Sooner(next, wait)
			continue
		}
		ready = append(ready, owed)
	}
	saver{k}.saveEach(ctx, ready, false)
	for _, owed := range ready {
		if wait := k.saved.wait(owed.Job, k.Clock.Now()); wait > 0 {
			next = retry.Sooner(next, wait)
		}
	}
	return next
}

// SaveAll stores beside their Jobs all captures that are not stored, as far as it
// gets until ctx ends: it is the last thing that a process does with them.
func (k *Keeper) SaveAll(ctx context.Context) {
	saver{k}.saveEach(ctx, k.Captures.Unstored(), true)
}

// saver stores captures beside their Jobs.
type saver struct{ *Keeper }

// saveEach stores the captures of each Job that are due, or all of them.
func (s saver) saveEach(ctx context.Context, owed []capture.Owed, all bool) {
	var group errgroup.Group
	group.SetLimit(savesAtOnce)
	for _, each := range owed {
		group.Go(func() error {
			s.saveJob(ctx, each, all)
			return nil
		})
	}
	// There is no error to return: each is answered where it happens.
	_ = group.Wait()
}

// saveJob stores captures of one Job, if that still wants to know of its pods.
func (s saver) saveJob(ctx context.Context, owed capture.Owed, all bool) {
	job := s.jobOf(ctx, owed.Pod)
	if job == nil {
		s.forgetSaved(owed.Job)
		s.Captures.Forget(owed.Job)
		return
	}
	if err := s.savePods(ctx, job, all); err != nil && ctx.Err() == nil {
		s.answer(ctx, job, err)
	}
}

// savePods stores the Job's captures, object after object.
func (s saver) savePods(ctx context.Context, job *batchv1.Job, all bool) error {
	wanted, err := s.policyOf(ctx, job)
	if err != nil {
		return err
	}
	kind := wanted.ResultsKind
	for {
		batch, err := s.nextBatch(job, kind, all)
		if err != nil || batch == nil {
			return err
		}
		if err := s.storeBatch(ctx, job, kind, batch); err != nil {
			batch.Release()
			if apierr.TooLarge(err) && s.saved.smaller(job.UID) {
				continue
			}
			return err
		}
		batch.Stored()
		batch.Release()
		s.Metrics.Spilled(batch.Pods, batch.Bytes)
		s.saved.stored(job.UID, kind, s.Clock.Now())
		ctrl.LoggerFrom(ctx).V(1).Info("captured pods stored beside their job", "namespace", job.Namespace, "job", job.Name, "pods", batch.Pods)
		if !all && s.saved.wait(job.UID, s.Clock.Now()) > 0 {
			return nil
		}
	}
}

var (
	// errFull says that no more is stored of a Job's captures before its end.
	errFull = errors.New("no more of its deleted pods can be saved while the Job still runs")
	// errOverBudget says the same where results take more than they may.
	errOverBudget = errors.New("only little of deleted pods is saved")
)

const (
	// shrunkBytes is what objects with captures of a Job may hold together above
	// a budget, and shrunkPodBytes what the logs of one pod take of that: the last
	// words of some twenty pods.
	shrunkBytes    = 128 << 10
	shrunkPodBytes = 4 << 10
)

// mostBytes is what objects with captures of a Job may hold together where results
// may take so much.
func mostBytes(results int) int { return min(copies*results, results+mostAbove) }

// nextBatch returns what is to be stored next of the Job, nil if there is nothing.
func (s saver) nextBatch(job *batchv1.Job, kind string, all bool) (*capture.Batch, error) {
	total, full := mostBytes(cmp.Or(s.Options.MaxResultsBytes, api.MaxResultsBytes)), errFull
	options := capture.PackOptions{Due: !all, MaxBytes: api.MaxResultsBytes, Redact: s.Options.Redact}
	if budget := s.Store.Holdings.Over(job.Namespace); budget != retain.WithinBudget {
		total, full = shrunkBytes, fmt.Errorf("%w: %s", errOverBudget, s.Store.Holdings.Exceeded(job.Namespace, budget))
		options.MaxBytes, options.MaxPodBytes, options.Short = results.MinBytes, shrunkPodBytes, shortCapture(budget)
	}
	room := s.saved.room(job.UID, total)
	options.MaxBytes = min(options.MaxBytes, max(room, results.MinBytes))
	batch, err := s.Captures.Pack(job.UID, options)
	if err != nil {
		return nil, fmt.Errorf("packing captures of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	if batch != nil && (room == 0 || s.saved.number(job.UID, kind) >= maxObjects) {
		batch.Release()
		return nil, full
	}
	return batch, nil
}

// shortCapture is what results say of a log that was shortened for a budget before
// its Job had finished, if nothing else has all of it by then.
func shortCapture(budget retain.Budget) results.Capture {
	return results.Capture{
		Reason:  holdings.ShortReason(budget),
		Message: "the pod was deleted while results were above their limit, and only little of its log was saved before the Job finished",
	}
}

// storeBatch creates the object of the first number that is free, or finds that
// it is there already.
func (s saver) storeBatch(ctx context.Context, job *batchv1.Job, kind string, batch *capture.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	for number := s.saved.number(job.UID, kind); number < maxObjects; number++ {
		wanted := results.NewCaptures(kind, job, number, batch.Values)
		made, err := s.Store.Create(ctx, wanted)
		if apierrors.IsAlreadyExists(err) {
			ours, bytes, err := s.savedBefore(ctx, kind, wanted)
			if err != nil {
				return err
			}
			s.saved.taken(job.UID, kind, number, bytes)
			s.saved.met(job.UID)
			if ours == wanted.Annotations[api.SHA256Annotation] {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("saving captures: %w", err)
		}
		s.saved.taken(job.UID, kind, number, batch.Bytes)
		// What the server made of it: an admission webhook may have changed it.
		if _, err := made.Captures(job); err != nil {
			return fmt.Errorf("saving captures in %s: %w", made, err)
		}
		s.saved.holds(job.UID, kind, made)
		return nil
	}
	return errFull
}

// savedBefore returns the digest and the size of an object that has the name of
// wanted, as its annotations tell them; "" and 0 of one that is not for this Job.
func (s saver) savedBefore(ctx context.Context, kind string, wanted *results.Object) (digest string, bytes int, err error) {
	key := client.ObjectKey{Namespace: wanted.Namespace, Name: wanted.Name}
	there := &metav1.PartialObjectMetadata{}
	there.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	if err := s.Live.Get(ctx, key, there); err != nil {
		return "", 0, resultstore.ConflictIfGone(kind, key.Name, fmt.Errorf("getting captured logs %s: %w", key, s.Store.Explain(kind, key.Namespace, err)))
	}
	if there.Labels[api.CaptureOfLabel] != wanted.Labels[api.CaptureOfLabel] {
		return "", 0, nil
	}
	bytes, valid := bytesOf(there)
	if !valid {
		return "", 0, nil
	}
	return there.Annotations[api.SHA256Annotation], bytes, nil
}

// bytesOf returns the size of an object, as its annotation tells it, and whether the
// manager may have written that: any user may edit annotations.
func bytesOf(object metav1.Object) (bytes int, valid bool) {
	bytes, err := strconv.Atoi(object.GetAnnotations()[api.BytesAnnotation])
	return bytes, err == nil && bytes >= 0 && bytes <= api.MaxResultsBytes
}

// answer decides when to try again after an error, and tells of it.
func (s saver) answer(ctx context.Context, job *batchv1.Job, err error) {
	class := classify(err)
	s.Metrics.SpillFailed(saveFailure(class, err))
	logger := ctrl.LoggerFrom(ctx).WithValues("namespace", job.Namespace, "job", job.Name)
	if class == apierr.NotFound && !lookup.StillThere(ctx, s.Live, job) {
		logger.V(1).Info("captured pods not stored, their job is gone", "cause", err.Error())
		s.Forget(job.UID)
		return
	}
	failures := s.saved.failed(job.UID)
	wait := min(longestRetry, firstRetry<<min(failures-1, 10))
	if class == apierr.Rejected {
		wait = min(retry.LongestRefused, retry.FirstRefused<<min(failures-1, 10))
		s.Events.TryWarn(ctx, job, "spill/"+string(apierr.CauseOf(err)), "Logs of deleted pods of this Job are in the manager's memory only: "+err.Error())
	}
	s.saved.pause(job.UID, s.Clock.Now().Add(wait))
	logger.Info("captured pods not stored, trying again", "after", wait, "cause", err.Error())
}

func classify(err error) apierr.Class {
	if errors.Is(err, errFull) || errors.Is(err, errOverBudget) || results.IsMismatch(err) {
		return apierr.Rejected
	}
	return apierr.Of(err)
}

// saveFailure returns the value with which metrics count err.
func saveFailure(class apierr.Class, err error) capture.SaveFailure {
	switch class {
	case apierr.NotFound:
		return capture.SaveGone
	case apierr.Conflict, apierr.Transient:
		return capture.SavePassing
	case apierr.Rejected:
	}
	if errors.Is(err, errOverBudget) {
		return capture.SaveBudget
	}
	switch apierr.CauseOf(err) {
	case apierr.CauseQuota:
		return capture.SaveQuota
	case apierr.CauseRights:
		return capture.SaveRights
	case apierr.CauseSize:
		return capture.SaveSize
	default:
		return capture.SaveOther
	}
}
