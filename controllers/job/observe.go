package job

import (
	"context"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/lookup"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

func (r *Reconciler) observe(ctx context.Context, job *batchv1.Job) (plan.Observation, error) {
	namespace, err := lookup.Namespace(ctx, r.Client, job.Namespace)
	if err != nil {
		return plan.Observation{}, err
	}
	wanted, problems := policy.Resolve(job, namespace.Annotations, r.Options.Defaults)
	if invalid := complaints(job, problems.Job); len(invalid) > 0 {
		r.Events.TryWarn(ctx, job, "policy", "Invalid annotations are ignored and the defaults used: "+invalid.ToAggregate().Error())
	}
	observed := plan.Observation{
		Job: job, Policy: wanted, TTLFloor: r.Options.TTLFloor, ProtectDeadline: r.Options.ProtectDeadline,
		Unstored: r.Ledger.Unstored(job), NamespaceTerminating: namespace.DeletionTimestamp != nil,
		LeaveTTL: r.Ledger.LeaveTTL(job, r.Clock.Now()), MadeAgain: r.Ledger.MadeAgain(job),
	}
	observed.HistoryDeletes = r.cronJobs.historyDeletes(ctx, r.Live, observed, r.Clock.Now())
	return observed, nil
}

// complaints returns the invalid values that the user should correct. results-name is not
// one after the results are stored: it then has the final name, which a user could not
// always ask for.
func complaints(job *batchv1.Job, problems field.ErrorList) field.ErrorList {
	if !plan.Stored(job) {
		return problems
	}
	final := field.NewPath("metadata", "annotations").Key(api.ResultsNameAnnotation).String()
	return slices.DeleteFunc(problems, func(problem *field.Error) bool { return problem.Field == final })
}
