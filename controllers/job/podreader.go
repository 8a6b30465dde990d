package job

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// PodsByJob is the cache index of pods by the UID of the Job that controls
	// them.
	PodsByJob = "jobUID"

	// podBytes is the usual size of a pod.
	podBytes = 8 << 10
)

// podReader reads the pods and labels of a Job for its results.
type podReader struct {
	cached, live client.Reader
	lists        *pager.Gate
	podLogs      *podlogs.Keeper
}

func (r *Reconciler) podReader() *podReader {
	return &podReader{cached: r.Client, live: r.Live, lists: r.Lists, podLogs: r.PodLogs}
}

// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch

// podsOf returns the pods of a finished Job: from the cache if it has those that
// the Job's status counts and has seen all of them end, else live. Pods that
// were not stamped are never in the cache.
func (p *podReader) podsOf(ctx context.Context, job *batchv1.Job) ([]*corev1.Pod, error) {
	var cached corev1.PodList
	err := p.cached.List(ctx, &cached, client.InNamespace(job.Namespace), client.MatchingFields{PodsByJob: string(job.UID)})
	if err != nil {
		return nil, fmt.Errorf("listing cached pods of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	pods := p.podLogs.AsSeen(job, p.owned(job, cached.Items))
	if allEnded(pods) && plan.MissingPods(job, p.podLogs.AsDeleted(job, pods)).None() {
		return pods, nil
	}
	return p.livePods(ctx, job)
}

// livePods lists the pods of a Job from the API server. It prunes each page before it
// reads the next one.
func (p *podReader) livePods(ctx context.Context, job *batchv1.Job) ([]*corev1.Pod, error) {
	selector, err := p.selector(ctx, job)
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	err = p.lister().Each(ctx, pager.Query{
		List: &corev1.PodList{}, Options: client.ListOptions{Namespace: job.Namespace, LabelSelector: selector},
		Expect: int(job.Status.Succeeded + job.Status.Failed), ObjectBytes: podBytes, Prune: func(object client.Object) {
			if pod, isPod := object.(*corev1.Pod); isPod {
				prunePod(pod)
			}
		},
	}, func(object client.Object) error {
		if pod, isPod := object.(*corev1.Pod); isPod && p.podLogs.Owns(job, pod) {
			pods = append(pods, pod)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing pods of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	return p.podLogs.AsSeen(job, pods), nil
}

func (p *podReader) lister() pager.Lister { return pager.Lister{Live: p.live, Gate: p.lists} }

// selector returns the selector of the pods of a Job. It reads the Job again if the
// selector was too large for the cache.
func (p *podReader) selector(ctx context.Context, job *batchv1.Job) (labels.Selector, error) {
	of := job
	if policy.DroppedOf(job).Selector {
		of = &batchv1.Job{}
		if err := p.live.Get(ctx, client.ObjectKeyFromObject(job), of); err != nil {
			return nil, fmt.Errorf("getting the selector of job %s/%s: %w", job.Namespace, job.Name, err)
		}
	}
	selector, err := metav1.LabelSelectorAsSelector(selectorOf(of))
	if err != nil {
		return nil, fmt.Errorf("reading the selector of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	return selector, nil
}

// owned returns the pods that belong to the Job.
func (p *podReader) owned(job *batchv1.Job, items []corev1.Pod) []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range items {
		if p.podLogs.Owns(job, &items[i]) {
			pods = append(pods, &items[i])
		}
	}
	return pods
}

func allEnded(pods []*corev1.Pod) bool {
	return !slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return !jobstatus.PodEnded(pod) })
}

// labelsOf returns the Job's labels with these keys. It reads the Job again if not all
// labels fitted into the cache.
func (p *podReader) labelsOf(ctx context.Context, job *batchv1.Job, keys []string) (map[string]string, error) {
	chosen := chosenLabels(job, keys)
	if len(chosen) == len(keys) || !policy.DroppedOf(job).Labels {
		return chosen, nil
	}
	whole := &batchv1.Job{}
	if err := p.live.Get(ctx, client.ObjectKeyFromObject(job), whole); err != nil {
		return nil, fmt.Errorf("getting the labels of job %s/%s: %w", job.Namespace, job.Name, err)
	}
	return chosenLabels(whole, keys), nil
}

func chosenLabels(job *batchv1.Job, keys []string) map[string]string {
	labels := make(map[string]string, len(keys))
	for _, key := range keys {
		if value, set := job.Labels[key]; set {
			labels[key] = value
		}
	}
	return labels
}
