package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// subject is what a NAME means: a Job or a results object. Every command that takes a
// NAME resolves it here.
type subject struct {
	// target has the name of the Job, also if NAME is the name of the object in which an
	// existing Job stores its results.
	target target
	job    sight
	// runs are the results of the Job, the newest first.
	runs []stored
	// object is the results object with the name NAME, or the Secret that the Job names
	// and that the user may get but not list.
	object *resultsview.Run
	// named is true if NAME is the object's name, not a Job's.
	named bool
}

// resolve returns what t means. A Job's name comes first: the results object of another
// Job can have the same NAME.
func (c *cluster) resolve(ctx context.Context, t target) (*subject, error) {
	s, err := c.resolveJob(ctx, t)
	if err != nil || s.job.job != nil || len(s.runs) > 0 {
		return s, err
	}
	if s.object, err = c.objectNamed(ctx, t.name); err != nil || s.object != nil {
		s.named = s.object != nil
		return s, err
	}
	job, err := c.storingIn(ctx, t.name)
	if err != nil || job == nil || !strings.HasPrefix(string(job.UID), t.run) {
		return s, err
	}
	return c.resolveJob(ctx, target{name: job.Name, run: string(job.UID)})
}

// resolveJob returns the Job of this name and its stored runs.
func (c *cluster) resolveJob(ctx context.Context, t target) (*subject, error) {
	if err := validName(t.name); err != nil {
		return nil, err
	}
	s := &subject{target: t}
	var err error
	if s.job, err = c.look(ctx, t.name); err != nil {
		return nil, err
	}
	// Read the results after the Job, so that those of a Job that is deleted meanwhile
	// are included.
	if s.runs, err = c.runsOf(ctx, t.name); err != nil {
		return nil, err
	}
	s.job.unlisted = c.unlisted
	if s.job.job != nil || len(s.runs) == 0 {
		if s.job.namespace, err = c.lookAround(ctx); err != nil {
			return nil, err
		}
	}
	return s, c.readConcealed(ctx, s)
}

// readConcealed reads the results of a Job that names a Secret, which the user may get
// although not list.
func (c *cluster) readConcealed(ctx context.Context, s *subject) error {
	if !s.job.stored() || !s.job.concealed() {
		return nil
	}
	run, err := c.objectNamed(ctx, s.job.job.Annotations[api.ResultsNameAnnotation])
	if err == nil && run != nil && run.Job.UID == string(s.job.job.UID) {
		s.object = run
	}
	return err
}

// objectNamed returns the results in the object with this name, nil if there are none
// that the user may read.
func (c *cluster) objectNamed(ctx context.Context, name string) (*resultsview.Run, error) {
	for _, k := range c.gettable() {
		run, err := c.open(ctx, k, name)
		unreadable := apierrors.IsForbidden(err) && k.name() == api.ResultsKindSecret
		switch {
		case apierrors.IsNotFound(err), errors.Is(err, results.ErrStranger), unreadable:
		case err != nil:
			return nil, err
		default:
			return run, nil
		}
	}
	return nil, nil
}

// gettable returns the kinds of results that the user may be allowed to get by name: a
// Role can allow that for Secrets without list.
func (c *cluster) gettable() []kind {
	return []kind{configMaps{c.core}, secrets{c.core}}
}

// storingIn returns the Job whose results have this name; nil if there is none, or if the
// user may not list Jobs.
func (c *cluster) storingIn(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	if !objectName(name) {
		return nil, nil
	}
	var found *metav1.PartialObjectMetadata
	err := c.eachJob(ctx, func(job *metav1.PartialObjectMetadata) {
		if job.Annotations[api.ResultsNameAnnotation] == name {
			found = job
		}
	})
	return found, err
}

// eachJob calls do for the Jobs with the opt-in label. If the user may not list Jobs it
// calls do for none.
func (c *cluster) eachJob(ctx context.Context, do func(*metav1.PartialObjectMetadata)) error {
	jobs := c.metadata.Resource(batchv1.SchemeGroupVersion.WithResource("jobs")).Namespace(c.namespace)
	pages := pager.New(pager.SimplePageFunc(func(opts metav1.ListOptions) (runtime.Object, error) {
		return jobs.List(ctx, opts)
	}))
	err := pages.EachListItem(ctx, metav1.ListOptions{LabelSelector: api.EnabledLabel + "=" + api.True}, func(object runtime.Object) error {
		if job, is := object.(*metav1.PartialObjectMetadata); is {
			do(job)
		}
		return nil
	})
	if err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("listing Jobs: %w", err)
	}
	return nil
}

// find returns the results of the run that t names. Without results, the error says why
// and what to do.
func (c *cluster) find(ctx context.Context, t target) (*resultsview.Run, error) {
	s, err := c.resolve(ctx, t)
	if err != nil {
		return nil, err
	}
	this := func(uid string) bool { return strings.HasPrefix(uid, s.target.run) }
	switch {
	case s.object != nil && this(s.object.Job.UID):
		return s.object, nil
	case s.job.job != nil && s.target.run != "" && this(string(s.job.job.UID)) && !s.has(this):
		return nil, errors.New(s.job.whyMissing(c.namespace, s.target.name))
	case len(s.runs) > 0:
		chosen, err := choose(s.runs, s.target)
		if err != nil {
			return nil, err
		}
		return c.open(ctx, chosen.kind, chosen.Name)
	case s.object != nil:
		return nil, s.anotherRun()
	default:
		return nil, errors.New(s.job.whyMissing(c.namespace, s.target.name))
	}
}

// has reports whether one of these runs is stored.
func (s *subject) has(is func(uid string) bool) bool {
	return slices.ContainsFunc(s.runs, func(r stored) bool { return is(r.uid()) })
}

// anotherRun says that the object holds another run than the user asked for.
func (s *subject) anotherRun() error {
	return fmt.Errorf("%s is of run %s, not of %s", s.object.Object, s.object.Job.UID, s.target.run)
}

// objectName reports whether name can be a results object's.
func objectName(name string) bool { return strings.Contains(name, api.ResultsSuffix) }

// mayBeObject reports whether NAME may be the name of a results object that does not
// exist yet.
func (s *subject) mayBeObject() bool {
	return s.job.job == nil && len(s.runs) == 0 && objectName(s.target.name)
}
