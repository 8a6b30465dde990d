package retention

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

// job is a Job by what results tell of it.
type job struct {
	namespace, name string
	uid             types.UID
}

// jobOf returns the Job of results: by its whole name where the data have it,
// since labels are shortened.
func jobOf(content *corev1.ConfigMap) job {
	j := job{namespace: content.Namespace, name: content.Data[api.DataJobName], uid: types.UID(content.Labels[api.JobUIDLabel])}
	if len(validation.IsDNS1123Subdomain(j.name)) > 0 {
		j.name = content.Labels[api.JobNameLabel]
	}
	return j
}

// atWork reports whether the manager is not done with the Job: it is there, and
// its results are not stored yet, or are about to be checked before it is changed
// or deleted. Deleted then, they would be missing, and be stored again.
func (r *Retainer) atWork(ctx context.Context, of job) (bool, error) {
	object, err := r.job(ctx, of)
	if err != nil || object == nil {
		return false, err
	}
	return r.hasWork(ctx, object)
}

// hasWork reports whether the manager is not done with the Job, which is there.
func (r *Retainer) hasWork(ctx context.Context, object *batchv1.Job) (bool, error) {
	namespace := policy.NewNamespace()
	if err := r.Client.Get(ctx, client.ObjectKey{Name: object.Namespace}, namespace); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("getting namespace %s: %w", object.Namespace, err)
	}
	wanted, _ := policy.Resolve(object, namespace.Annotations, r.Options.Defaults)
	decision := plan.Decide(plan.Observation{Job: object, Policy: wanted, TTLFloor: r.Options.TTLFloor}, r.Clock.Now())
	return decision.Action != plan.Leave, nil
}

// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list

// job returns the Job, nil if it is not there any more. A name that fills a label
// may be a shortened one, so that the Job has to be searched for.
func (r *Retainer) job(ctx context.Context, of job) (*batchv1.Job, error) {
	found, err := r.jobCalled(ctx, of, of.name)
	if found != nil || err != nil || len(of.name) != validation.LabelValueMaxLength {
		return found, err
	}
	options := client.ListOptions{Namespace: of.namespace, Limit: page}
	for {
		jobs := &metav1.PartialObjectMetadataList{}
		jobs.SetGroupVersionKind(batchv1.SchemeGroupVersion.WithKind("JobList"))
		if err := r.Live.List(ctx, jobs, &options); err != nil {
			return nil, fmt.Errorf("listing jobs of namespace %s: %w", of.namespace, err)
		}
		for i := range jobs.Items {
			if jobs.Items[i].UID == of.uid {
				return r.jobCalled(ctx, of, jobs.Items[i].Name)
			}
		}
		if options.Continue = jobs.Continue; jobs.Continue == "" {
			return nil, nil //nolint:nilnil // most results outlive their Job
		}
	}
}

// jobCalled returns the Job if it has that name.
func (r *Retainer) jobCalled(ctx context.Context, of job, name string) (*batchv1.Job, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // there is no such Job
	}
	object := &batchv1.Job{}
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: of.namespace, Name: name}, object)
	if apierrors.IsNotFound(err) || err == nil && object.UID != of.uid {
		return nil, nil //nolint:nilnil // most results outlive their Job
	}
	if err != nil {
		return nil, fmt.Errorf("getting job %s/%s: %w", of.namespace, name, err)
	}
	return object, nil
}
