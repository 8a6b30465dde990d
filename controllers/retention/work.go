package retention

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/retain"
)

const (
	// mostFailures is how many namespaces in a row may fail before the API server is
	// taken to be away.
	mostFailures = 5
	// progressEvery is how often progress is logged.
	progressEvery = 30 * time.Second
)

// place is the scope of rights, quotas and webhooks.
type place struct{ kind, namespace string }

// work goes through the deletions of one pass. After a failure it skips the rest of that
// namespace, and goes on with others.
type work struct {
	r           *Retainer
	bad         sets.Set[place]
	inARow      int
	failed      []error
	done, total int
	told        time.Time
}

func (r *Retainer) newWork(total int) *work {
	return &work{r: r, bad: sets.New[place](), total: total, told: r.Clock.Now()}
}

// do runs a deletion, unless its place has failed, and reports whether to go on.
func (w *work) do(ctx context.Context, about retain.Ref, remove func() error) bool {
	w.done++
	where := place{about.Kind, about.Namespace}
	if ctx.Err() != nil {
		w.failed = append(w.failed, ctx.Err())
		return false
	}
	if w.bad.Has(where) {
		return true
	}
	w.progress(ctx)
	err := remove()
	switch apierr.Of(err) {
	case apierr.NotFound, apierr.Conflict:
		err = nil
	case apierr.Rejected:
		w.refused(ctx, about, err)
		w.bad.Insert(where)
		err = nil
	case apierr.Transient:
	}
	if err == nil {
		w.inARow = 0
		return w.r.pause(ctx)
	}
	w.bad.Insert(where)
	w.failed = append(w.failed, err)
	w.inARow++
	return w.inARow < mostFailures
}

// refused reports a refusal, which users have to resolve. The next pass retries.
func (w *work) refused(ctx context.Context, about retain.Ref, err error) {
	cause := apierr.CauseOf(err)
	w.r.Metrics.Refused(cause)
	if w.r.hourly("refused/" + string(cause)) {
		ctrl.LoggerFrom(ctx).Info("results cannot be deleted", "kind", about.Kind, "namespace", about.Namespace,
			"results", about.Name, "cause", err.Error())
	}
}

func (w *work) progress(ctx context.Context) {
	now := w.r.Clock.Now()
	if now.Sub(w.told) < progressEvery {
		return
	}
	w.told = now
	ctrl.LoggerFrom(ctx).Info("deleting results", "done", w.done, "of", w.total)
}

// err returns the failures that a retry may resolve.
func (w *work) err() error {
	return errors.Join(w.failed...)
}

// pause waits between deletions, and reports whether to go on. do checks the context too.
func (r *Retainer) pause(ctx context.Context) bool {
	if r.Options.Pause == 0 {
		return ctx.Err() == nil
	}
	timer := r.Clock.NewTimer(r.Options.Pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}
