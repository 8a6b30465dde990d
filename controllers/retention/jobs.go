package retention

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/lookup"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
)

// job identifies a Job, as its results name it.
type job struct {
	namespace, name string
	uid             types.UID
}

// jobOf returns the Job of results. It prefers the name in the data, since labels are
// shortened.
func jobOf(object *results.Object) job {
	j := job{namespace: object.Namespace, name: object.Data[api.DataJobName], uid: types.UID(object.Labels[api.JobUIDLabel])}
	if len(validation.IsDNS1123Subdomain(j.name)) > 0 {
		j.name = object.Labels[api.JobNameLabel]
	}
	return j
}

// atWork reports whether the manager is not done with the Job: the Job exists, and its
// results are not stored yet or are about to be verified. If they were deleted then, the
// manager would store them again.
func (r *Retainer) atWork(ctx context.Context, of job) (bool, error) {
	object, err := r.names.find(ctx, of)
	if err != nil || object == nil {
		return false, err
	}
	return r.hasWork(ctx, object)
}

// hasWork reports whether the manager is not done with an existing Job.
func (r *Retainer) hasWork(ctx context.Context, object *batchv1.Job) (bool, error) {
	namespace, err := lookup.Namespace(ctx, r.Client, object.Namespace)
	if err != nil {
		return false, err
	}
	wanted, _ := policy.Resolve(object, namespace.Annotations, r.Options.Defaults)
	decision := plan.Decide(plan.Observation{Job: object, Policy: wanted, TTLFloor: r.Options.TTLFloor}, r.Clock.Now())
	return decision.Action != plan.Leave, nil
}

// jobFinder finds the Jobs of results during one pass.
type jobFinder struct {
	live   client.Reader
	lister pager.Lister
	// long are names of Jobs that do not fit into a label, by namespace: see longNames.
	long map[string]map[types.UID]string
}

func (r *Retainer) finder() *jobFinder { return &jobFinder{live: r.Live, lister: r.lister()} }

// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list

// find returns the Job, nil if it is gone. A name that fills a label may have been
// shortened: then find searches for the Job.
func (f *jobFinder) find(ctx context.Context, of job) (*batchv1.Job, error) {
	found, err := f.called(ctx, of, of.name)
	if found != nil || err != nil || len(of.name) != validation.LabelValueMaxLength {
		return found, err
	}
	names, err := f.longNames(ctx, of.namespace)
	if err != nil {
		return nil, err
	}
	return f.called(ctx, of, names[of.uid])
}

// mostLongNames bounds the remembered names that do not fit into a label, some 400 bytes
// each.
const mostLongNames = 20_000

var errTooManyNames = errors.New("too many Jobs have names that do not fit into a label")

// longNames returns the names of the namespace's Jobs, by UID, that may have been
// shortened for a label. It lists them once in a pass, after the results were listed: a
// Job is created before its results are.
func (f *jobFinder) longNames(ctx context.Context, namespace string) (map[types.UID]string, error) {
	if known, listed := f.long[namespace]; listed {
		return known, nil
	}
	names := map[types.UID]string{}
	err := f.lister.Each(ctx, pager.Query{
		List:    pager.Metadata(batchv1.SchemeGroupVersion.WithKind("Job")),
		Options: client.ListOptions{Namespace: namespace}, Prune: keepOurs,
	}, func(object client.Object) error {
		if len(object.GetName()) >= validation.LabelValueMaxLength {
			names[object.GetUID()] = object.GetName()
		}
		if len(names) > mostLongNames {
			return errTooManyNames
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing jobs of namespace %s: %w", namespace, err)
	}
	kept := len(names)
	for _, others := range f.long {
		kept += len(others)
	}
	if f.long == nil || kept > mostLongNames {
		f.long = map[string]map[types.UID]string{}
	}
	f.long[namespace] = names
	return names, nil
}

// called returns the Job if it has that name, nil if it is gone or has another one: most
// results outlive their Job.
func (f *jobFinder) called(ctx context.Context, of job, name string) (*batchv1.Job, error) {
	if name == "" {
		return nil, nil
	}
	object := &batchv1.Job{}
	err := f.live.Get(ctx, client.ObjectKey{Namespace: of.namespace, Name: name}, object)
	if apierrors.IsNotFound(err) || err == nil && object.UID != of.uid {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("getting job %s/%s: %w", of.namespace, name, err)
	}
	return object, nil
}
