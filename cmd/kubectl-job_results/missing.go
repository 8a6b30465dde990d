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
	job, namespace, err := c.look(ctx, name)
	if err != nil {
		return err
	}
	return errors.New(whyMissing(c.namespace, name, job, namespace))
}

// look returns the Job of this name and its Namespace, nil where there is none,
// or where the Namespace may not be read.
func (c *cluster) look(ctx context.Context, name string) (*batchv1.Job, *corev1.Namespace, error) {
	job, err := c.jobs.Jobs(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("there are no results for %s; looking for the Job: %w", name, err)
	}
	namespace, err := c.core.Namespaces().Get(ctx, c.namespace, metav1.GetOptions{})
	if err != nil {
		// Many may read Jobs and not Namespaces: then it is not known whether the
		// Job is opted in.
		return job, nil, nil //nolint:nilerr // the rest of the answer is worth more than this
	}
	return job, namespace, nil
}

// whyMissing says why there are no results of name, and what to do.
func whyMissing(in, name string, job *batchv1.Job, namespace *corev1.Namespace) string {
	switch {
	case job == nil:
		return fmt.Sprintf("no Job and no results of that name in namespace %s: %q (kubectl job-results list -A shows all that there are)", in, name)
	case !optedIn(job, namespace):
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
func optedIn(job *batchv1.Job, namespace *corev1.Namespace) bool {
	own, _ := policy.JobOptIn(job)
	if namespace == nil {
		return own != policy.Out
	}
	around, _ := policy.NamespaceOptIn(namespace)
	return policy.Handled(own, around)
}
