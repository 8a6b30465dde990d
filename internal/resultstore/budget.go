package resultstore

import (
	"context"
	"fmt"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/holdings"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

// shrunkLogBytes is what is kept of the logs of a run above a budget: enough for
// the last words of a few containers.
const shrunkLogBytes = 16 << 10

// bound limits the logs of a run where results take more than they may. The Warning
// about it is sent once an hour for a namespace. That the logs of this run are short
// is told with its outcome.
func (w *Writer) bound(ctx context.Context, run *results.Run) {
	namespace := run.Job.Namespace
	budget := w.Store.Holdings.Over(namespace)
	if budget == retain.WithinBudget {
		return
	}
	run.MaxLogBytes, run.MaxLogReason = shrunkLogBytes, holdings.ShortReason(budget)
	if w.Store.Holdings.Shrunk(namespace, budget) {
		w.Warn(ctx, run.Job, "budget", fmt.Sprintf("%s. Only 16Ki of logs is stored for each new Job until results are deleted; "+
			"annotation %s makes results expire", w.Store.Holdings.Exceeded(namespace, budget), api.ResultsTTLAnnotation))
	}
}
