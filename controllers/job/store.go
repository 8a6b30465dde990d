package job

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultstore"
)

// readShare is the part of the TTL floor for which one pass reads logs. It begins with
// half of the floor left, so there is time to store them too.
const readShare = 4

// store stores a finished Job's results, reports them, and goes on to the deletion if
// that is due. It may run again after any error: it finds and adopts what an earlier pass
// did.
func (r *Reconciler) store(ctx context.Context, observed plan.Observation, decision plan.Decision) (ctrl.Result, error) {
	r.Ledger.Storing(observed.Job)
	job, err := r.hold(ctx, observed.Job, decision)
	if err != nil {
		return ctrl.Result{}, err
	}
	observed.Job = job
	if again := r.patience(job).FollowedLogs(job, r.PodLogs.Following(job.UID)); again > 0 {
		return ctrl.Result{RequeueAfter: again, Priority: new(recheckPriority)}, nil
	}
	pods, err := r.podReader().podsOf(ctx, observed.Job)
	if err != nil {
		return ctrl.Result{}, err
	}
	if result, wait := r.notYet(ctx, observed, pods); wait {
		return result, nil
	}
	run, release, err := r.collect(ctx, observed, pods)
	defer release()
	if err != nil {
		return ctrl.Result{}, err
	}
	nodeGone := anyNodeGone(run.Pods)
	releaseCaptured, err := r.PodLogs.AddTo(ctx, &run, observed.Policy.ResultsKind)
	if errors.Is(err, podlogs.ErrBusy) {
		return ctrl.Result{RequeueAfter: loadingRecheck, Priority: new(recheckPriority)}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	defer releaseCaptured()
	if again, limit := r.readAgain(observed.Job, run, nodeGone); again > 0 {
		r.Events.TryWarn(ctx, job, "logs", fmt.Sprintf(
			"Logs cannot be read yet (%s); trying again for up to %s before storing the results without them",
			results.Summarize(run).Why, limit))
		r.Jobs.RetriedLogs()
		return ctrl.Result{RequeueAfter: again, Priority: new(recheckPriority)}, nil
	}
	r.explainer().addTo(ctx, &run)
	writer := resultstore.Writer{Store: r.Store, MaxBytes: r.Options.MaxResultsBytes, Warn: r.Events.TryWarn}
	done, err := writer.Write(ctx, run, resultstore.Target{
		Kind: observed.Policy.ResultsKind, Name: observed.Policy.ResultsName, Pods: podUIDs(pods),
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	release()
	releaseCaptured()
	return r.report(ctx, observed, done)
}

// notYet returns when to reconcile the Job again if its logs cannot be read yet, and
// whether that is so: more will be known about its pods soon, or other Jobs are being
// read.
func (r *Reconciler) notYet(ctx context.Context, observed plan.Observation, pods []*corev1.Pod) (result ctrl.Result, wait bool) {
	job := observed.Job
	patience, known := r.patience(job), r.PodLogs.Known(job, pods)
	if r.PodLogs.Enabled() {
		if again := patience.MissingPods(job, known); again > 0 {
			return ctrl.Result{RequeueAfter: again}, true
		}
	}
	again := patience.EndOfPods(job, observed.Policy.LogMode, pods)
	if again == 0 && r.PodLogs.Busy(job, observed.Policy.ResultsKind, pods) {
		again = loadingRecheck
	}
	if again == 0 {
		again = r.explainer().read(ctx, job, known)
	}
	return ctrl.Result{RequeueAfter: again, Priority: new(recheckPriority)}, again > 0
}

// hold keeps the Job from being deleted before its results are stored: by its TTL or,
// with protection, by any client. If a policy of the cluster refuses the change, the
// results are stored without it.
func (r *Reconciler) hold(ctx context.Context, job *batchv1.Job, decision plan.Decision) (*batchv1.Job, error) {
	if decision.Desired == nil {
		return job, nil
	}
	changed, err := r.change(ctx, job, decision.Desired)
	if err == nil {
		r.counts().release(job, changed, decision.Released)
		r.Ledger.WroteTTL(job, changed, r.Clock.Now())
		return changed, nil
	}
	if classify(err) != apierr.Rejected {
		return nil, err
	}
	r.Events.TryWarn(ctx, job, "hold", "The Job may be deleted before its results are stored: "+err.Error())
	return job, nil
}

// collect reads the logs of the pods, unless the Job wants none, for as long as the Job's
// TTL allows.
func (r *Reconciler) collect(ctx context.Context, observed plan.Observation, pods []*corev1.Pod) (results.Run, func(), error) {
	job := observed.Job
	labels, err := r.podReader().labelsOf(ctx, job, observed.Policy.PropagateLabels)
	if err != nil {
		return results.Run{}, func() {}, err
	}
	run := results.Run{
		Job: job, Outcome: jobstatus.Of(job), LogMode: observed.Policy.LogMode,
		Labels:    labels,
		CreatedAt: r.Clock.Now().UTC(),
		Redact:    r.Options.Redact,
	}
	if cronJob, owned := plan.NamedCronJob(job); owned {
		run.CronJob = cronJob.Name
	}
	if ttl := observed.Policy.ResultsTTL; !ttl.Never {
		run.ExpiresAt = new(run.CreatedAt.Add(ttl.After))
	}
	if run.LogMode == api.LogModeStatus {
		for _, pod := range pods {
			run.Pods = append(run.Pods, results.Pod{Pod: pod})
		}
		return run, func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.Options.TTLFloor/readShare)
	defer cancel()
	collected, release, err := r.Logs.Collect(ctx, pods)
	if err != nil {
		return run, release, fmt.Errorf("reading logs of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	run.Pods = collected
	return run, release, nil
}

// anyNodeGone reports whether a log of the pods could not be read because a Node
// object is gone.
func anyNodeGone(pods []results.Pod) bool {
	for _, pod := range pods {
		for _, log := range pod.Logs {
			if log.Capture.Reason == results.ReasonNodeGone {
				return true
			}
		}
	}
	return false
}
