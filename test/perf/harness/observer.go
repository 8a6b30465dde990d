package harness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/job-handler/job-handler/internal/api"
)

// observer takes the times at which Jobs of a namespace are stored and deleted,
// as a watch tells of it. What it costs the API server every run has to bear, the
// calibrator's too.
type observer struct {
	watch watch.Interface

	mu sync.Mutex
	// stored and deleted are by the Job's name.
	stored, deleted map[string]time.Time
	changed         chan struct{}
	// ended says why the watch has ended, once it has.
	ended error
}

// observe watches from now on, until ctx ends or stop is called.
func (w *world) observe(ctx context.Context, namespace string) (*observer, error) {
	client, err := metadata.NewForConfig(metadata.ConfigFor(w.cluster.RESTConfig()))
	if err != nil {
		return nil, err
	}
	jobs := client.Resource(batchv1.SchemeGroupVersion.WithResource("jobs")).Namespace(namespace)
	list, err := jobs.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("listing jobs of %s: %w", namespace, err)
	}
	// An API server ends a watch when it likes to, which tells nothing.
	watching, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return jobs.Watch(ctx, options)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watching jobs of %s: %w", namespace, err)
	}
	o := &observer{watch: watching, stored: map[string]time.Time{}, deleted: map[string]time.Time{}, changed: make(chan struct{}, 1)}
	go o.run()
	return o, nil
}

func (o *observer) stop() { o.watch.Stop() }

func (o *observer) run() {
	why := errors.New("it was stopped")
	for event := range o.watch.ResultChan() {
		if job, ok := event.Object.(*metav1.PartialObjectMetadata); ok {
			o.note(event.Type, job, time.Now())
		} else if event.Type == watch.Error {
			why = apierrors.FromObject(event.Object)
		}
	}
	o.mu.Lock()
	o.ended = why
	o.mu.Unlock()
	o.signal()
}

func (o *observer) note(kind watch.EventType, job *metav1.PartialObjectMetadata, now time.Time) {
	o.mu.Lock()
	if _, known := o.stored[job.Name]; !known && job.Annotations[api.StatusAnnotation] != "" {
		o.stored[job.Name] = now
	}
	if kind == watch.Deleted {
		o.deleted[job.Name] = now
	}
	o.mu.Unlock()
	o.signal()
}

func (o *observer) signal() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// errNotAll says that a scenario did not get as far as it should in time.
var errNotAll = errors.New("not all of it happened in time")

// await waits until enough holds of how many Jobs are stored and deleted.
func (o *observer) await(ctx context.Context, timeout time.Duration, enough func(stored, deleted int) bool) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		o.mu.Lock()
		stored, deleted, ended := len(o.stored), len(o.deleted), o.ended
		o.mu.Unlock()
		switch {
		case enough(stored, deleted):
			return nil
		case ended != nil:
			return fmt.Errorf("the watch of Jobs ended after %d were stored and %d deleted: %w", stored, deleted, ended)
		}
		select {
		case <-o.changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return fmt.Errorf("%d Jobs were stored and %d deleted after %s: %w", stored, deleted, timeout, errNotAll)
		}
	}
}

// awaitDeleted waits until so many Jobs are deleted.
func (o *observer) awaitDeleted(ctx context.Context, timeout time.Duration, jobs int) error {
	return o.await(ctx, timeout, func(_, deleted int) bool { return deleted >= jobs })
}

// times returns when Jobs were stored and deleted, in no order.
func (o *observer) times() (stored, deleted []time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, at := range o.stored {
		stored = append(stored, at)
	}
	for _, at := range o.deleted {
		deleted = append(deleted, at)
	}
	return stored, deleted
}

// since returns how many seconds after began, by the name of the Job, each was
// stored and deleted; those that were not are left out.
func (o *observer) since(began map[string]time.Time) (stored, deleted []float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, at := range began {
		if then, is := o.stored[name]; is {
			stored = append(stored, then.Sub(at).Seconds())
		}
		if then, is := o.deleted[name]; is {
			deleted = append(deleted, then.Sub(at).Seconds())
		}
	}
	return stored, deleted
}
