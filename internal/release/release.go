package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// After so many objects a line says how far the search is.
	progressEvery = 5000
	// Objects changed at the same time.
	workers = 16
)

// Releaser takes back what holds Jobs and what was written on Namespaces. It
// can be run any number of times, also after it was interrupted.
type Releaser struct {
	// Client may list, get and patch Namespaces and Jobs. It must not read from
	// a cache.
	Client client.Client
	// Out gets a line for each object, and a summary.
	Out io.Writer
	// DryRun has the API server check every change and make none.
	DryRun bool
	// Lease is that of the manager's leader. While somebody renews it nothing
	// is released, except in a dry run: a running manager would undo it.
	Lease client.ObjectKey
	// Wait is how long a manager that renews the lease is given to end.
	Wait time.Duration
	// Deleting has it release only Jobs that are being deleted and have the
	// finalizer. A running manager cannot undo that, so that the Lease is not
	// looked at.
	Deleting bool

	// said is the holder of the lease that was told of.
	said string
}

// Run releases Namespaces first, so that no mirrored label invites more Jobs,
// and then Jobs, in all namespaces. What goes wrong with one object does not
// stop it; the error that it returns then has a line for each such object.
func (r *Releaser) Run(ctx context.Context) error {
	kube := r.Client
	if r.DryRun {
		kube = client.NewDryRunClient(kube)
	}
	if !r.DryRun && !r.Deleting {
		if err := r.awaitStopped(ctx); err != nil {
			return err
		}
	}
	report := &report{out: r.Out, dryRun: r.DryRun}
	namespaces := sweep{
		client: kube, report: report, word: "Namespace", gvk: corev1.SchemeGroupVersion.WithKind("Namespace"),
		holds: holdsNamespace, release: patchNamespace,
	}
	jobs := sweep{
		client: kube, report: report, word: "Job", gvk: batchv1.SchemeGroupVersion.WithKind("Job"),
		holds:   func(found *metav1.PartialObjectMetadata) bool { return plan.Holds(found) },
		release: patchJob,
	}
	var err error
	if r.Deleting {
		jobs.holds = heldDeletion
	} else {
		err = namespaces.run(ctx)
	}
	err = errors.Join(err, jobs.run(ctx))
	report.summary(namespaces.counts, jobs.counts)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("interrupted, run it again for the rest: %w", err)
	}
	if err != nil {
		return fmt.Errorf("not everything is released, run it again once the cause is gone:\n%w", err)
	}
	return nil
}

// heldDeletion reports whether a Job is being deleted and our finalizer is on it.
func heldDeletion(found *metav1.PartialObjectMetadata) bool {
	return found.DeletionTimestamp != nil && policy.Protected(found)
}

// find returns the objects of a sweep's kind on which something of ours is. It
// lists metadata in pages, from all namespaces.
func (s *sweep) find(ctx context.Context) ([]client.ObjectKey, error) {
	var found []client.ObjectKey
	err := pager.Lister{Live: s.client}.Each(ctx, pager.Query{List: pager.Metadata(s.gvk)}, func(item client.Object) error {
		object, ok := item.(*metav1.PartialObjectMetadata)
		if !ok {
			return fmt.Errorf("listing %ss: got a %T", s.word, item)
		}
		if s.counts.seen++; s.counts.seen%progressEvery == 0 {
			s.report.line("checked %d %ss so far", s.counts.seen, s.word)
		}
		if s.holds(object) {
			found = append(found, client.ObjectKeyFromObject(object))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %ss: %w", s.word, err)
	}
	return found, nil
}
