package job

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/plan"
)

// lastPriority comes after everything else, also after Jobs that existed at the start.
const lastPriority = -200

// act carries out a decision. A large Job may have to wait: see large. Actions that read
// logs or stored objects, whose content users choose, wait for the Job's turn: see
// package atwork.
func (r *Reconciler) act(ctx context.Context, observed plan.Observation, decision plan.Decision) (ctrl.Result, error) {
	if writes(decision) {
		leave, entered := r.large.enter(observed.Job)
		if !entered {
			return largeLater(), nil
		}
		defer leave()
	}
	if !readsContent(observed, decision) {
		return r.carryOut(ctx, observed, decision)
	}
	job := observed.Job
	turn, err := r.AtWork.Begin(ctx, job.UID)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("waiting for the turn of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	defer turn.End()
	if turn.SetAside() {
		r.Events.TryWarn(ctx, job, "set-aside", fmt.Sprintf(
			"The manager's process ended %d times while it was handling this Job. It now handles this Job after all others, and alone", turn.Ended))
	}
	switch {
	case turn.After > 0 && turn.Again() && decision.Overdue:
		return ctrl.Result{}, fmt.Errorf("the manager's process ended %d times while it was handling job %s/%s", turn.Ended, job.Namespace, job.Name)
	case turn.After > 0:
		return ctrl.Result{RequeueAfter: turn.After, Priority: new(lastPriority)}, nil
	default:
		return r.carryOut(ctx, observed, decision)
	}
}

func readsContent(observed plan.Observation, decision plan.Decision) bool {
	switch decision.Action {
	case plan.Store, plan.Delete:
		return true
	case plan.Change:
		return plan.Stored(observed.Job) || decision.Desired != nil && plan.Stored(decision.Desired)
	default:
		return false
	}
}

func writes(decision plan.Decision) bool {
	return decision.Action == plan.Change || decision.Action == plan.Store || decision.Action == plan.Delete
}
