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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/holdings"
	"github.com/job-handler/job-handler/internal/lookup"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultstore"
	"github.com/job-handler/job-handler/internal/retain"
	"github.com/job-handler/job-handler/internal/retry"
)

const (
	// savesAtOnce is how many Jobs have captures stored concurrently. saveTimeout bounds
	// one write, so that a namespace whose webhooks hang does not delay others for long.
	savesAtOnce = 4
	saveTimeout = 10 * time.Second
	// lastSaves is how long a process that ends stores its captures. It gives the lease
	// back after that.
	lastSaves = 7 * time.Second
)

// Save stores the captures that are due beside their Jobs, once. It returns when more may
// be due; 0 means when Captures say so. A failure affects one Job alone, and is retried.
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
	k.saver().saveEach(ctx, ready, false)
	for _, owed := range ready {
		if wait := k.saved.wait(owed.Job, k.Clock.Now()); wait > 0 {
			next = retry.Sooner(next, wait)
		}
	}
	return next
}

// SaveAll stores all captures that are not stored yet beside their Jobs, until ctx ends.
// A process calls it last.
func (k *Keeper) SaveAll(ctx context.Context) {
	k.saver().saveEach(ctx, k.Captures.Unstored(), true)
}

// saver stores captures beside their Jobs.
type saver struct {
	captures *capture.Captures
	jobs     jobs
	store    *resultstore.Store
	saved    *saved
	// live reads from the API server.
	live     client.Reader
	metrics  *metrics.Captures
	events   *events.Recorder
	clock    clock.PassiveClock
	maxBytes int
	redact   *redact.Set
	// forget drops everything that is known of a Job that is gone.
	forget func(job types.UID)
}

func (k *Keeper) saver() saver {
	return saver{
		captures: k.Captures, jobs: k.jobs(), store: k.Store, saved: &k.saved, live: k.Live,
		metrics: k.Metrics, events: k.Events, clock: k.Clock,
		maxBytes: cmp.Or(k.Options.MaxResultsBytes, api.MaxResultsBytes), redact: k.Options.Redact, forget: k.Forget,
	}
}

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
	// There is no error to return: saveJob answers its own.
	_ = group.Wait()
}

// saveJob stores captures of one Job, if the Job still needs them.
func (s saver) saveJob(ctx context.Context, owed capture.Owed, all bool) {
	job := s.jobs.of(ctx, owed.Pod)
	if job == nil {
		s.saved.forgetAll(owed.Job, s.store)
		s.captures.Forget(owed.Job)
		return
	}
	if err := s.savePods(ctx, job, all); err != nil && ctx.Err() == nil {
		s.answer(ctx, job, err)
	}
}

// savePods stores the Job's captures, object after object.
func (s saver) savePods(ctx context.Context, job *batchv1.Job, all bool) error {
	wanted, err := s.jobs.policy(ctx, job)
	if err != nil {
		return err
	}
	kind := wanted.ResultsKind
	for {
		batch, ok, err := s.nextBatch(job, kind, all)
		if err != nil || !ok {
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
		s.metrics.Spilled(batch.Pods, batch.Bytes)
		s.saved.stored(job.UID, kind, s.clock.Now())
		ctrl.LoggerFrom(ctx).V(1).Info("captured pods stored beside their job", "namespace", job.Namespace, "job", job.Name, "pods", batch.Pods)
		if !all && s.saved.wait(job.UID, s.clock.Now()) > 0 {
			return nil
		}
	}
}

var (
	// errFull says that the captures of a Job have reached their limit.
	errFull = errors.New("no more of its deleted pods can be saved while the Job still runs")
	// errOverBudget says that they have reached the lower limit that applies while
	// results are above a budget.
	errOverBudget = errors.New("only little of deleted pods is saved")
)

const (
	// shrunkBytes bounds all captures of a Job while results are above a budget, and
	// shrunkPodBytes the logs of one pod: the last lines of some twenty pods.
	shrunkBytes    = 128 << 10
	shrunkPodBytes = 4 << 10
)

// mostBytes bounds all captures of a Job whose results may have so many bytes.
func mostBytes(results int) int { return min(copies*results, results+mostAbove) }

// nextBatch returns the captures to store next of the Job. ok is false if there are none.
func (s saver) nextBatch(job *batchv1.Job, kind string, all bool) (batch *capture.Batch, ok bool, err error) {
	total, full := mostBytes(s.maxBytes), errFull
	options := capture.PackOptions{Due: !all, MaxBytes: api.MaxResultsBytes, Redact: s.redact}
	if budget := s.store.Holdings.Over(job.Namespace); budget != retain.WithinBudget {
		total, full = shrunkBytes, fmt.Errorf("%w: %s", errOverBudget, s.store.Holdings.Exceeded(job.Namespace, budget))
		options.MaxBytes, options.MaxPodBytes, options.Short = results.MinBytes, shrunkPodBytes, shortCapture(budget)
	}
	room := s.saved.room(job.UID, total)
	options.MaxBytes = min(options.MaxBytes, max(room, results.MinBytes))
	batch, ok, err = s.captures.Pack(job.UID, options)
	if err != nil {
		return nil, false, fmt.Errorf("packing captures of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	if ok && (room == 0 || s.saved.number(job.UID, kind) >= maxObjects) {
		batch.Release()
		return nil, false, full
	}
	return batch, ok, nil
}

// shortCapture is what results say about a log that was shortened for a budget before its
// Job had finished, unless the whole log can be read later.
func shortCapture(budget retain.Budget) results.Capture {
	return results.Capture{
		Reason:  holdings.ShortReason(budget),
		Message: "the pod was deleted while results were above their limit, and only little of its log was saved before the Job finished",
	}
}

// storeBatch creates an object under the first free number, or finds the same object.
func (s saver) storeBatch(ctx context.Context, job *batchv1.Job, kind string, batch *capture.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	for number := s.saved.number(job.UID, kind); number < maxObjects; number++ {
		wanted := results.NewCaptures(kind, job, number, batch.Values)
		made, err := s.store.Create(ctx, wanted)
		if apierrors.IsAlreadyExists(err) {
			ours, bytes, err := s.savedBefore(ctx, kind, wanted)
			if err != nil {
				return err
			}
			s.saved.exists(job.UID, kind, number, bytes)
			s.saved.met(job.UID)
			if ours == wanted.Annotations[api.SHA256Annotation] {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("saving captures: %w", err)
		}
		s.saved.exists(job.UID, kind, number, batch.Bytes)
		// An admission webhook may have changed what the server stored.
		if _, err := made.Captures(job); err != nil {
			return fmt.Errorf("saving captures in %s: %w", made, err)
		}
		s.saved.holds(job.UID, kind, made)
		return nil
	}
	return errFull
}

// savedBefore returns the digest and the size that the annotations of the existing object
// with this name tell; "" and 0 if it is not for this Job.
func (s saver) savedBefore(ctx context.Context, kind string, wanted *results.Object) (digest string, bytes int, err error) {
	key := client.ObjectKey{Namespace: wanted.Namespace, Name: wanted.Name}
	there := &metav1.PartialObjectMetadata{}
	there.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	if err := s.live.Get(ctx, key, there); err != nil {
		return "", 0, resultstore.ConflictIfGone(kind, key.Name, fmt.Errorf("getting captured logs %s: %w", key, s.store.Explain(kind, key.Namespace, err)))
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

// answer decides when to retry after an error, and reports it.
func (s saver) answer(ctx context.Context, job *batchv1.Job, err error) {
	class := classify(err)
	s.metrics.SpillFailed(saveFailure(class, err))
	logger := ctrl.LoggerFrom(ctx).WithValues("namespace", job.Namespace, "job", job.Name)
	if class == apierr.NotFound && !lookup.StillThere(ctx, s.live, job) {
		logger.V(1).Info("captured pods not stored, their job is gone", "cause", err.Error())
		s.forget(job.UID)
		return
	}
	failures := s.saved.failed(job.UID)
	wait := min(longestRetry, firstRetry<<min(failures-1, 10))
	if class == apierr.Rejected {
		wait = min(retry.LongestRefused, retry.FirstRefused<<min(failures-1, 10))
		s.events.TryWarn(ctx, job, "spill/"+string(apierr.CauseOf(err)), "Logs of deleted pods of this Job are in the manager's memory only: "+err.Error())
	}
	s.saved.pause(job.UID, s.clock.Now().Add(wait))
	logger.Info("captured pods not stored, trying again", "after", wait, "cause", err.Error())
}

func classify(err error) apierr.Class {
	if errors.Is(err, errFull) || errors.Is(err, errOverBudget) || results.IsMismatch(err) {
		return apierr.Rejected
	}
	return apierr.Of(err)
}

// saveFailure returns how metrics count err.
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
