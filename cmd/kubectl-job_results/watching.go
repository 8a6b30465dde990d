package main

import (
	"context"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// watching reports changes of a Job and its results.
type watching struct {
	// events has the Job in its new state, nil for a change of results.
	events chan *batchv1.Job
	// jobs and results are true if the user may watch them; otherwise wait has to look
	// repeatedly.
	jobs, results bool
	end           func()
}

// stop ends it, if it was started.
func (w *watching) stop() {
	if w != nil {
		w.end()
	}
}

// watch watches the Job of this name and its results, until ended.
func (c *cluster) watch(ctx context.Context, job string) *watching {
	ctx, cancel := context.WithCancel(ctx)
	w := &watching{events: make(chan *batchv1.Job), results: true}
	var group sync.WaitGroup
	w.end = func() {
		cancel()
		group.Wait()
	}
	jobs := batchv1.SchemeGroupVersion.WithResource("jobs")
	if w.jobs = c.mayWatch(ctx, jobs, job); w.jobs {
		group.Go(func() { w.pass(ctx, c.jobWatcher(job), &batchv1.Job{}) })
	}
	for _, k := range c.readable(ctx) {
		if !c.mayWatch(ctx, k.resource(), "") {
			w.results = false
			continue
		}
		group.Go(func() { w.pass(ctx, c.resultsWatcher(k, runsSelector(job)), &metav1.PartialObjectMetadata{}) })
	}
	return w
}

// pass forwards the events of from.
func (w *watching) pass(ctx context.Context, from cache.ListerWatcher, object runtime.Object) {
	_, _, events, done := watchtools.NewIndexerInformerWatcher(from, object)
	defer func() {
		events.Stop()
		<-done
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-events.ResultChan():
			if !open {
				return
			}
			job, isJob := event.Object.(*batchv1.Job)
			if !isJob && event.Type == watch.Deleted {
				continue
			}
			select {
			case w.events <- job:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (c *cluster) jobWatcher(name string) cache.ListerWatcher {
	client := c.jobs.Jobs(c.namespace)
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			opts.FieldSelector = only
			return client.List(ctx, opts)
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			opts.FieldSelector = only
			return client.Watch(ctx, opts)
		},
	}
}

// resultsWatcher lists and watches the metadata of objects with these labels.
func (c *cluster) resultsWatcher(k kind, selector string) cache.ListerWatcher {
	client := c.metadata.Resource(k.resource()).Namespace(c.namespace)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			opts.LabelSelector = selector
			return client.List(ctx, opts)
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			opts.LabelSelector = selector
			return client.Watch(ctx, opts)
		},
	}, c.metadata)
}
