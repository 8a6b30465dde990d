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
	// failedRetry is how soon a look that failed is tried again.
	failedRetry = time.Minute
	// keptRetry is how soon expired results are looked at again that could not go
	// yet, most often since the manager is not done with their Job.
	keptRetry = 5 * time.Minute
)

// Options are what the operator sets.
type Options struct {
	// Interval is the time between looks at everything. It is also how far ahead
	// package holdings must remember what is due.
	Interval time.Duration
	// KeepCompleted and KeepFailed are those of retain.Options.
	KeepCompleted, KeepFailed int
	// Pause is the time between deletions, which are not urgent.
	Pause time.Duration
	// Defaults and TTLFloor are those of the Job controller: they say whether it is
	// done with a Job.
	Defaults policy.Defaults
	TTLFloor time.Duration
}

// Retainer looks at all results every interval, from metadata in pages, and
// deletes what package retain says; between two looks it deletes results when
// their time comes. Whatever was interrupted is found by the next look. It is for
// one goroutine, and runs where Jobs are handled.
type Retainer struct {
	// Client reads Namespaces (metadata only) from the cache, and writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Lists bounds the lists of live objects, with those of other controllers; nil:
	// each alone is bounded.
	Lists *pager.Gate
	// Store keeps the results. It counts them.
	Store   *resultstore.Store
	Metrics *metrics.Retention
	Clock   clock.Clock
	Options Options

	// settled are parts that are known to be listed by results.
	settled sets.Set[types.UID]
	// malformed is how many results were complained of.
	malformed int
	// names finds Jobs, in one look.
	names *jobFinder
	// said is when something was last logged that is logged once an hour.
	said map[string]time.Time
}

// NeedLeaderElection has one of several managers do this.
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

// retry returns how soon to try again: what people have to mend can wait.
func (r *Retainer) retry(err error) time.Duration {
	if apierr.Of(err) == apierr.Rejected {
		return r.Options.Interval
	}
	return failedRetry
}

// wait deletes what becomes due, until the time comes for another look or ctx
// ends. What could not be deleted has that look come sooner.
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

// Look looks at everything once, and deletes what is to go. It returns an error
// if the API server did not let it finish.
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

// mostSuspects is of how many results the parts are looked at in one look, and of how
// many Jobs the captures: the results or the Jobs have to be read for that.
const mostSuspects = 1000

func bounded[T any](suspects []T) []T { return suspects[:min(len(suspects), mostSuspects)] }

// RemoveDue deletes the results whose time has come since the last look. Where it
// returns an error some are left for the next look to find.
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

// complain tells of results that are kept since they do not say until when,
// where there are more of them than before.
func (r *Retainer) complain(ctx context.Context, survey *retain.Survey) {
	if survey.Malformed > r.malformed {
		ctrl.LoggerFrom(ctx).Info("results are kept since their expiry cannot be read",
			"count", survey.Malformed, "first", survey.Complaint)
	}
	r.malformed = survey.Malformed
}

// hourly reports whether something should be logged that is at most once an hour.
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
