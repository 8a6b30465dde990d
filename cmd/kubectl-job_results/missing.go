package main

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/policy"
)

// missing returns an error that says why there are no results of name.
func (c *cluster) missing(ctx context.Context, name string) error {
	s, err := c.look(ctx, name)
	if err != nil {
		return err
	}
	return errors.New(s.whyMissing(c.namespace, name))
}

// sight is what the user can see of a Job.
type sight struct {
	// job is nil where there is none, or where it may not be read.
	job    *batchv1.Job
	hidden bool
	// namespace is nil where it may not be read.
	namespace *corev1.Namespace
}

// look returns what can be seen of the Job of this name. Many may read results
// and not Jobs, or Jobs and not Namespaces.
func (c *cluster) look(ctx context.Context, name string) (sight, error) {
	job, err := c.jobs.Jobs(c.namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return sight{}, nil
	case apierrors.IsForbidden(err):
		return sight{hidden: true}, nil
	case err != nil:
		return sight{}, fmt.Errorf("looking for Job %s: %w", name, err)
	}
	namespace, err := c.core.Namespaces().Get(ctx, c.namespace, metav1.GetOptions{})
	if apierrors.IsForbidden(err) {
		return sight{job: job}, nil
	}
	if err != nil {
		return sight{}, fmt.Errorf("looking at namespace %s: %w", c.namespace, err)
	}
	return sight{job: job, namespace: namespace}, nil
}

// whyMissing says why there are no results of name, and what to do.
func (s sight) whyMissing(in, name string) string {
	job := s.job
	switch {
	case s.hidden:
		return fmt.Sprintf("no results of %q in namespace %s; why, cannot be told without the right to get Jobs there", name, in)
	case job == nil:
		return fmt.Sprintf("no Job and no results of that name in namespace %s: %q (kubectl job-results list -A shows all that there are)", in, name)
	case !s.optedIn():
		return fmt.Sprintf("job %s is not opted in: label it, or its namespace, for results to be kept: kubectl label -n %s job %s %s=%s",
			name, in, name, api.EnabledLabel, api.True)
	}
	switch outcome := jobstatus.Of(job); {
	case outcome.Finished() && job.Annotations[api.StatusAnnotation] != "":
		return fmt.Sprintf("the results of job %s were stored in %q and are not there any more", name, job.Annotations[api.ResultsNameAnnotation])
	case outcome.Finished():
		return fmt.Sprintf("no results for Job %s yet: it has finished, and they are about to be stored: kubectl job-results wait %s "+
			"(what holds them up: kubectl get events -n %s --field-selector reason=%s)", name, name, in, api.ReasonJobProcessing)
	case job.Spec.Suspend != nil && *job.Spec.Suspend:
		return fmt.Sprintf("no results for Job %s: it is suspended", name)
	default:
		return fmt.Sprintf("no results for Job %s: it is still running (kubectl job-results wait %s, or kubectl logs job/%s)", name, name, name)
	}
}

// optedIn reports whether the Job is handled, as far as that can be known.
func (s sight) optedIn() bool {
	own, _ := policy.JobOptIn(s.job)
	if s.namespace == nil {
		return own != policy.Out
	}
	around, _ := policy.NamespaceOptIn(s.namespace)
	return policy.Handled(own, around)
}
