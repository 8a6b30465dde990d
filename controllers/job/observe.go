package job

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/lookup"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// PodsByJob is the cache index of pods by the UID of the Job that controls
	// them.
	PodsByJob = "jobUID"

	// podBytes is the size of a usual pod.
	podBytes = 8 << 10
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
	observed.HistoryDeletes = r.historyDeletes(ctx, observed)
	return observed, nil
}

// complaints returns what its user should mend. Once stored, results-name holds
// the final name, which is not always one that may be wished for.
func complaints(job *batchv1.Job, problems field.ErrorList) field.ErrorList {
	if !plan.Stored(job) {
		return problems
	}
	final := field.NewPath("metadata", "annotations").Key(api.ResultsNameAnnotation).String()
	return slices.DeleteFunc(problems, func(problem *field.Error) bool { return problem.Field == final })
}

// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch

// pods returns the pods of a finished Job: from the cache if it has those that
// the Job's status counts and has seen all of them end, else live. Pods that
// were not stamped are never in the cache.
func (r *Reconciler) pods(ctx context.Context, job *batchv1.Job) ([]*corev1.Pod, error) {
	var cached corev1.PodList
	err := r.Client.List(ctx, &cached, client.InNamespace(job.Namespace), client.MatchingFields{PodsByJob: string(job.UID)})
	if err != nil {
		return nil, fmt.Errorf("listing cached pods of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	pods := r.PodLogs.AsSeen(job, r.owned(job, cached.Items))
	if allEnded(pods) && plan.MissingPods(job, r.PodLogs.AsDeleted(job, pods)).None() {
		return pods, nil
	}
	return r.livePods(ctx, job)
}

// livePods lists the pods of a Job past the cache. Pages are pruned before the next
// one is read.
func (r *Reconciler) livePods(ctx context.Context, job *batchv1.Job) ([]*corev1.Pod, error) {
	selector, err := r.selector(ctx, job)
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	err = r.lister().Each(ctx, pager.Query{
		List: &corev1.PodList{}, Options: client.ListOptions{Namespace: job.Namespace, LabelSelector: selector},
		Expect: int(job.Status.Succeeded + job.Status.Failed), ObjectBytes: podBytes, Prune: func(object client.Object) {
			if pod, isPod := object.(*corev1.Pod); isPod {
				prunePod(pod)
			}
		},
	}, func(object client.Object) error {
		if pod, isPod := object.(*corev1.Pod); isPod && r.PodLogs.Owns(job, pod) {
			pods = append(pods, pod)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing pods of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	return r.PodLogs.AsSeen(job, pods), nil
}

func (r *Reconciler) lister() pager.Lister { return pager.Lister{Live: r.Live, Gate: r.Lists} }

// selector returns what selects the pods of a Job. One that was too large for the
// cache is read again.
func (r *Reconciler) selector(ctx context.Context, job *batchv1.Job) (labels.Selector, error) {
	of := job
	if policy.DroppedOf(job).Selector {
		of = &batchv1.Job{}
		if err := r.Live.Get(ctx, client.ObjectKeyFromObject(job), of); err != nil {
			return nil, fmt.Errorf("getting the selector of job %s/%s: %w", job.Namespace, job.Name, err)
		}
	}
	selector, err := metav1.LabelSelectorAsSelector(selectorOf(of))
	if err != nil {
		return nil, fmt.Errorf("reading the selector of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	return selector, nil
}

func allEnded(pods []*corev1.Pod) bool {
	for _, pod := range pods {
		if !ended(pod) {
			return false
		}
	}
	return true
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
