package adversary_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// attack is what a tenant does who may edit a namespace.
type attack struct {
	name string
	// objects is how many it makes.
	objects int
	// notOptedIn has its Namespace be one that is not handled.
	notOptedIn bool
	// prepare makes what is there before the manager starts, during what comes then.
	prepare func(context.Context, *stage) error
	during  func(ctx context.Context, s *stage, ended <-chan struct{}) error
	// together are attacks that are made at the same time in place of this one.
	together []attack
}

// of returns the attack with so many objects.
func (a attack) of(objects int) attack {
	a.objects = objects
	return a
}

// stage is an attack that goes on in a namespace.
type stage struct {
	*world
	attack

	namespace string
	mu        sync.Mutex
	wants     []outcome
}

// outcome is what a Job under attack gets.
type outcome struct {
	job *batchv1.Job
	// warning is a part of an Event about it; empty: none is expected.
	warning string
}

// makers is how many objects are made at a time.
const makers = 16

// each calls create for every object, some at a time.
func (s *stage) each(ctx context.Context, objects int, create func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(makers)
	for i := range objects {
		group.Go(func() error { return create(ctx, i) })
	}
	return group.Wait()
}

// goOn does what comes after the manager's start, and waits until each Job under
// attack has its outcome, or ended is closed.
func (s *stage) goOn(ctx context.Context, ended <-chan struct{}) error {
	if s.during != nil {
		if err := s.during(ctx, s, ended); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for _, want := range s.wants {
		var last error
		err := wait.PollUntilContextTimeout(ctx, poll, patience, true, func(ctx context.Context) (bool, error) {
			select {
			case <-ended:
				return false, errEnded
			default:
			}
			last = s.look(ctx, want)
			return last == nil, nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, errors.Join(err, last))
		}
	}
	return nil
}

// look returns nil if a Job has its outcome, and else what it lacks.
func (s *stage) look(ctx context.Context, want outcome) error {
	now := &batchv1.Job{}
	err := s.Get(ctx, client.ObjectKeyFromObject(want.job), now)
	switch {
	case err == nil && now.UID == want.job.UID && now.Annotations[api.StatusAnnotation] == "":
		return fmt.Errorf("job %s has no status", want.job.Name)
	case client.IgnoreNotFound(err) != nil:
		return err
	case want.warning == "":
		return nil
	}
	var events eventsv1.EventList
	if err := s.List(ctx, &events, client.InNamespace(s.namespace)); err != nil {
		return err
	}
	for _, event := range events.Items {
		if event.Regarding.UID == want.job.UID && event.Type == corev1.EventTypeWarning && strings.Contains(event.Note, want.warning) {
			return nil
		}
	}
	return fmt.Errorf("no Warning about job %s says %q", want.job.Name, want.warning)
}

// containsAll reports whether a text has all lines.
func containsAll(text string, lines []string) bool {
	for _, line := range lines {
		if !strings.Contains(text, line) {
			return false
		}
	}
	return true
}
