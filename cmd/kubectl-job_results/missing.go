package main

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

// sight is what the user can see of a Job.
type sight struct {
	// job is nil if it does not exist, or may not be read.
	job    *batchv1.Job
	hidden bool
	// namespace is nil if it may not be read.
	namespace *corev1.Namespace
	// unlisted is true if the user may not list Secrets.
	unlisted bool
}

// look returns what the user can see of the Job with this name. Many users may read
// results but not Jobs.
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
	return sight{job: job}, nil
}

// lookAround returns the namespace, nil if it does not exist or may not be read.
func (c *cluster) lookAround(ctx context.Context) (*corev1.Namespace, error) {
	namespace, err := c.core.Namespaces().Get(ctx, c.namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking at namespace %s: %w", c.namespace, err)
	}
	return namespace, nil
}

// whyMissing says why there are no results of name, and what to do.
func (s sight) whyMissing(in, name string) string {
	switch {
	case s.hidden:
		return fmt.Sprintf("no results of %q in namespace %s; without the right to get Jobs there the command cannot tell why%s", name, in, s.perhapsConcealed(in))
	case s.job == nil:
		return fmt.Sprintf("no Job and no results of that name in namespace %s: %q (kubectl job-results list -A shows all of them)%s",
			in, name, s.perhapsConcealed(in))
	}
	if why := s.whyNever(in, name); why != "" {
		return why
	}
	if s.concealed() {
		return s.whyConcealed(in, name)
	}
	switch outcome := jobstatus.Of(s.job); outcome.Phase {
	case jobstatus.Suspended:
		return fmt.Sprintf("no results for Job %s: it is suspended; to resume it: kubectl patch -n %s job %s --type=merge -p '{\"spec\":{\"suspend\":false}}'", name, in, name)
	case jobstatus.Running:
		return fmt.Sprintf("no results for Job %s: it is still running (kubectl job-results wait %s, or kubectl logs job/%s)", name, name, name)
	default:
		return fmt.Sprintf("no results for Job %s yet: it has finished, and they are about to be stored: kubectl job-results wait %s "+
			"(what delays them: kubectl get events -n %s --field-selector reason=%s)", name, name, in, api.ReasonJobProcessing)
	}
}

// whyNever says why the run of the Job will have no results, and what to do. It returns
// "" if they can still come, or may be in a Secret that the user cannot see.
func (s sight) whyNever(in, name string) string {
	switch {
	case s.stored() && s.concealed():
		return ""
	case s.stored():
		kind := plan.ResultsKind(s.job)
		return fmt.Sprintf("the results of job %s (%s) were stored in %s %q and no longer exist: they expired, or were deleted. "+
			"Only a new run brings new ones. To see the Job itself: kubectl describe -n %s job %s",
			name, s.job.Annotations[api.StatusAnnotation], kind, s.job.Annotations[api.ResultsNameAnnotation], in, name)
	case !s.optedIn():
		return fmt.Sprintf("job %s is not opted in: label it, or its namespace, for results to be kept: kubectl label -n %s job %s %s=%s",
			name, in, name, api.EnabledLabel, api.True)
	case s.finishedBefore():
		return fmt.Sprintf("job %s had finished before namespace %s was opted in, and is left alone: label it for results to be kept: "+
			"kubectl label -n %s job %s %s=%s", name, in, in, name, api.EnabledLabel, api.True)
	case s.namespace != nil && s.namespace.DeletionTimestamp != nil:
		return fmt.Sprintf("namespace %s is being deleted: nothing more can be stored in it", in)
	default:
		return ""
	}
}

// whyConcealed says that the results are in a Secret that the user may not read.
func (s sight) whyConcealed(in, name string) string {
	where := "will be stored in a Secret"
	if s.stored() {
		where = fmt.Sprintf("(%s) are stored in Secret %q", s.job.Annotations[api.StatusAnnotation], s.job.Annotations[api.ResultsNameAnnotation])
	}
	return fmt.Sprintf("the results of job %s %s, and you lack the %s", name, where, secretsRight(in))
}

func secretsRight(in string) string {
	return "rights to get, list and watch Secrets in namespace " + in
}

// perhapsConcealed says that there may be results that the user cannot see.
func (s sight) perhapsConcealed(in string) string {
	if !s.unlisted {
		return ""
	}
	return "; results in Secrets cannot be seen: you lack the " + secretsRight(in)
}

// stored reports whether the Job has finished and says that its results are stored.
func (s sight) stored() bool {
	return s.job != nil && jobstatus.Of(s.job).Finished() && plan.Stored(s.job)
}

// concealed reports whether the Job's results are, or will be, in a Secret that the user
// cannot see. Without a Job, the namespace's default decides.
func (s sight) concealed() bool {
	if !s.unlisted {
		return false
	}
	if s.stored() {
		return plan.ResultsKind(s.job) == api.ResultsKindSecret
	}
	job, annotations := s.job, map[string]string(nil)
	if job == nil {
		job = &batchv1.Job{}
	}
	if s.namespace != nil {
		annotations = s.namespace.Annotations
	}
	wanted, _ := policy.Resolve(job, annotations, policy.Defaults{})
	return wanted.ResultsKind == api.ResultsKindSecret
}

// optedIn reports whether the Job is handled, as far as the user can see.
func (s sight) optedIn() bool {
	own, _ := policy.JobOptIn(s.job)
	if s.namespace == nil {
		return own != policy.Out
	}
	around, _ := policy.NamespaceOptIn(s.namespace)
	return policy.Handled(own, around)
}

// finishedBefore reports whether the Job finished unlabelled and is older than the opt-in
// of its namespace: then the manager leaves it alone.
func (s sight) finishedBefore() bool {
	own, _ := policy.JobOptIn(s.job)
	if own != policy.Unset || s.namespace == nil || !jobstatus.Of(s.job).Finished() {
		return false
	}
	since, err := time.Parse(time.RFC3339, s.namespace.Annotations[api.EnabledSinceAnnotation])
	return err == nil && s.job.CreationTimestamp.Time.Before(since)
}
