// Package retention deletes expired results and measures how much space the others
// take. Results outlive their Jobs, so no change of a Job triggers this work, and it
// has a loop of its own. Package retain decides which results to delete; this
// package lists, checks and deletes. It must not import webhooks, certs or cmd.
package retention

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/resultstore"
	"github.com/job-handler/job-handler/internal/retain"
)

const (
	// failedRetry is how soon a failed pass is retried.
	failedRetry = time.Minute
	// keptRetry is when expired results are checked again that could not be deleted,
	// mostly because the manager is not done with their Job.
	keptRetry = 5 * time.Minute
)

// Options are what the operator sets.
type Options struct {
	// Interval is the time between passes. Package holdings remembers what expires within
	// it.
	Interval time.Duration
	// KeepCompleted and KeepFailed are those of retain.Options.
	KeepCompleted, KeepFailed int
	// Pause is the time between deletions, which are not urgent.
	Pause time.Duration
	// Defaults and TTLFloor are those of the Job controller. They decide whether it is
	// done with a Job.
	Defaults policy.Defaults
	TTLFloor time.Duration
}

// Retainer lists the metadata of all results every interval, in pages, and deletes what
// package retain decides. Between two passes it deletes results when they expire. The
// next pass finds what was interrupted. It is for one goroutine, and runs in the leader.
type Retainer struct {
	// Client reads Namespaces (metadata only) from the cache, and writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Lists bounds the lists of live objects of all controllers together; nil bounds each
	// list alone.
	Lists *pager.Gate
	// Store keeps and counts results.
	Store   *resultstore.Store
	Metrics *metrics.Retention
	Clock   clock.Clock
	Options Options

	// settled are parts that are known to be listed by results.
	settled sets.Set[types.UID]
	// malformed is how many results with an invalid expiry were reported.
	malformed int
	// names finds Jobs during one pass.
	names *jobFinder
	// said is when each message was logged that is logged once an hour.
	said map[string]time.Time
}

// NeedLeaderElection makes only the leader delete results.
func (r *Retainer) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (r *Retainer) Start(ctx context.Context) error {
	logger := ctrl.Log.WithName("retention")
	ctx = ctrl.LoggerInto(ctx, logger)
	for ctx.Err() == nil {
		next := r.Clock.Now().Add(r.Options.Interval)
		if err := r.Look(ctx); err != nil && ctx.Err() == nil {
			again := r.Clock.Now().Add(r.retry(err))
			logger.Info("not all results were checked", "again", again, "cause", err.Error())
			next = earlier(next, again)
		}
		r.wait(ctx, next)
	}
	return nil
}

// retry returns when to try again. A refusal can wait: users have to act.
func (r *Retainer) retry(err error) time.Duration {
	if apierr.Of(err) == apierr.Rejected {
		return r.Options.Interval
	}
	return failedRetry
}

// wait deletes results as they expire, until the next pass is due or ctx ends. If a
// deletion fails, the next pass comes sooner.
func (r *Retainer) wait(ctx context.Context, until time.Time) {
	for ctx.Err() == nil {
		err := r.RemoveDue(ctx)
		now := r.Clock.Now()
		if err != nil && ctx.Err() == nil {
			ctrl.LoggerFrom(ctx).Info("expired results not deleted, trying again", "cause", err.Error())
			until = earlier(until, now.Add(failedRetry))
		}
		if !now.Before(until) {
			return
		}
		wake := until
		if due, known := r.Store.Holdings.Next(); known {
			wake = earlier(wake, due)
		}
		timer := r.Clock.NewTimer(wake.Sub(now))
		select {
		case <-ctx.Done():
		case <-timer.C():
		case <-r.Store.Holdings.Sooner():
		}
		timer.Stop()
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Look makes one pass over all results and deletes what is due. It returns an error if
// the API server did not let it finish.
func (r *Retainer) Look(ctx context.Context) error {
	began := r.Clock.Now()
	err := r.look(ctx, began)
	now := r.Clock.Now()
	switch {
	case err == nil:
		r.Metrics.PassCompleted(now, now.Sub(began))
	case ctx.Err() == nil:
		r.Metrics.PassFailed()
	}
	return err
}

func (r *Retainer) look(ctx context.Context, now time.Time) error {
	r.names = r.finder()
	survey, err := r.survey(ctx, now)
	if err != nil {
		return err
	}
	r.Metrics.Surveyed(survey)
	r.complain(ctx, survey)
	defer func() { r.settled = survey.Settled() }()
	candidates, suspects, captures := survey.Candidates(), bounded(survey.Suspects()), bounded(survey.Captures())
	work := r.newWork(len(candidates) + len(suspects) + len(captures))
	for _, candidate := range candidates {
		if !work.do(ctx, candidate.Ref, func() error { return r.removeCandidate(ctx, candidate) }) {
			return work.err()
		}
	}
	for _, parts := range suspects {
		if !work.do(ctx, parts.Refs[0], func() error { return r.removeOrphans(ctx, parts, survey) }) {
			return work.err()
		}
	}
	for _, left := range captures {
		if !work.do(ctx, left.Refs[0], func() error { return r.removeCaptures(ctx, left) }) {
			return work.err()
		}
	}
	ctrl.LoggerFrom(ctx).V(1).Info("checked all results", "results", survey.Counts[retain.Results],
		"parts", survey.Counts[retain.Part], "captures", survey.Counts[retain.Captured], "toGo", len(candidates), "suspects", len(suspects))
	return work.err()
}

// mostSuspects bounds the results whose parts are checked in one pass, and the Jobs whose
// captures are: each has to be read.
const mostSuspects = 1000

func bounded[T any](suspects []T) []T { return suspects[:min(len(suspects), mostSuspects)] }

// RemoveDue deletes the results that have expired since the last pass. After an error,
// the next pass finds the rest.
func (r *Retainer) RemoveDue(ctx context.Context) error {
	r.names = r.finder()
	due := r.Store.Holdings.Take(r.Clock.Now())
	work := r.newWork(len(due))
	for _, d := range due {
		candidate := retain.Candidate{Ref: d.Ref, Reason: retain.ReasonExpired}
		if !work.do(ctx, d.Ref, func() error { return r.removeCandidate(ctx, candidate) }) {
			break
		}
	}
	return work.err()
}

// complain logs results that are kept because their expiry cannot be read, if there are
// more than before.
func (r *Retainer) complain(ctx context.Context, survey *retain.Survey) {
	if survey.Malformed > r.malformed {
		ctrl.LoggerFrom(ctx).Info("results are kept since their expiry cannot be read",
			"count", survey.Malformed, "first", survey.Complaint)
	}
	r.malformed = survey.Malformed
}

// hourly reports whether to log a message that is logged at most once an hour.
func (r *Retainer) hourly(what string) bool {
	now := r.Clock.Now()
	if last, said := r.said[what]; said && now.Sub(last) < time.Hour {
		return false
	}
	if r.said == nil {
		r.said = map[string]time.Time{}
	}
	r.said[what] = now
	return true
}
