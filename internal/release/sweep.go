package release

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	clientretry "k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/jobpatch"
	"github.com/job-handler/job-handler/internal/policy"
)

// conflictBackoff gives a Job whose controller writes to it all the time some
// 10 seconds.
var conflictBackoff = wait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 10}

// sweep releases the objects of one kind.
type sweep struct {
	client client.Client
	report *report
	// word is the kind as people read it.
	word string
	gvk  schema.GroupVersionKind
	// holds reports by an object's metadata whether there is something to do.
	holds func(*metav1.PartialObjectMetadata) bool
	// release reads the object that was found, changes it, and returns what
	// that did in words; nothing where nothing was left to do.
	release func(context.Context, client.Client, client.ObjectKey) ([]string, error)

	counts counts
}

// counts are how many objects were looked at, changed, and not changed though
// they should have been.
type counts struct{ seen, changed, failed int }

// run returns what went wrong, an error for each object.
func (s *sweep) run(ctx context.Context) error {
	found, err := s.find(ctx)
	if err != nil {
		s.counts.failed++
		return err
	}
	var (
		group errgroup.Group
		mu    sync.Mutex
		errs  []error
	)
	group.SetLimit(workers)
	for _, key := range found {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			done, err := s.visit(ctx, key)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				s.counts.failed++
				errs = append(errs, fmt.Errorf("%s %s: %w", s.word, shownKey(key), err))
			case len(done) > 0:
				s.counts.changed++
				s.report.released(s.word, key, done)
			}
			return nil
		})
	}
	return errors.Join(group.Wait(), errors.Join(errs...))
}

// visit tries again, from a new look at the object, if it changed meanwhile.
func (s *sweep) visit(ctx context.Context, key client.ObjectKey) (done []string, err error) {
	err = clientretry.RetryOnConflict(conflictBackoff, func() error {
		done, err = s.release(ctx, s.client, key)
		return err
	})
	return done, client.IgnoreNotFound(err)
}

func patchNamespace(ctx context.Context, kube client.Client, key client.ObjectKey) ([]string, error) {
	namespace := policy.NewNamespace()
	if err := kube.Get(ctx, key, namespace); err != nil {
		return nil, fmt.Errorf("getting it: %w", err)
	}
	desired, done := releaseNamespace(namespace)
	if desired == nil {
		return nil, nil
	}
	patch := client.MergeFromWithOptions(namespace, client.MergeFromWithOptimisticLock{})
	if err := kube.Patch(ctx, desired, patch); err != nil {
		return nil, fmt.Errorf("changing it: %w", err)
	}
	return done, nil
}

func patchJob(ctx context.Context, kube client.Client, key client.ObjectKey) ([]string, error) {
	job := &batchv1.Job{}
	if err := kube.Get(ctx, key, job); err != nil {
		return nil, fmt.Errorf("getting it: %w", err)
	}
	desired, done := releaseJob(job)
	if desired == nil {
		return nil, nil
	}
	if err := kube.Patch(ctx, desired, jobpatch.From(job)); err != nil {
		return nil, fmt.Errorf("changing it: %w", err)
	}
	return done, nil
}
