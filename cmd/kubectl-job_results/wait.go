package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// aWeek is what a negative timeout stands for, as for kubectl wait.
const aWeek = 7 * 24 * time.Hour

// waitOptions are the flags of wait.
type waitOptions struct {
	*plugin
	target  target
	timeout time.Duration
}

func newWait(p *plugin) *cobra.Command {
	o := &waitOptions{plugin: p}
	command := &cobra.Command{
		Use: "wait NAME", Short: "Wait until the results of a Job are there", Args: cobra.ExactArgs(1),
		Long: "Wait until the results of a Job are there. Exits with 0 if the Job completed, 1 if it failed, 2 if there\n" +
			"were no results in time, 3 if it is no use to wait. The Job may be gone by then, and need not exist yet:\n" +
			"while there is one of this name, it is that run that counts, else the newest.",
		Example:           "  kubectl apply -f job.yaml && kubectl job-results wait nightly-report --timeout=1h && echo it completed",
		ValidArgsFunction: p.completeName,
		RunE: func(command *cobra.Command, args []string) error {
			o.target.name = args[0]
			return o.run(command.Context())
		},
	}
	o.target.addFlags(command)
	command.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second,
		"How long to wait; 0 looks once, less than 0 waits for a week.")
	return command
}

func (o *waitOptions) run(ctx context.Context) error {
	run, err := o.await(ctx)
	var exit *exitCodeError
	switch {
	case errors.As(err, &exit):
		return err
	case err != nil:
		return &exitCodeError{code: exitWaitError, err: err}
	}
	fmt.Fprintf(o.Out, "job %s %s: %s\n", safe(run.Job.Name), safe(run.Status), run.Object)
	if run.Status != api.StatusCompleted {
		return &exitCodeError{code: exitFailed}
	}
	return nil
}

func (o *waitOptions) await(ctx context.Context) (*resultsview.Run, error) {
	c, err := o.connect()
	if err != nil {
		return nil, err
	}
	wanted, run, err := o.now(ctx, c)
	if err != nil || run != nil {
		return run, err
	}
	if o.timeout == 0 {
		return nil, o.timedOut(ctx, c)
	}
	limit := o.timeout
	if limit < 0 {
		limit = aWeek
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, err := c.await(limited, o.target.name, wanted)
	if errors.Is(limited.Err(), context.DeadlineExceeded) {
		return nil, o.timedOut(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	return c.open(ctx, found.kind, found.Name)
}

// timedOut says after what time there were no results, and why.
func (o *waitOptions) timedOut(ctx context.Context, c *cluster) error {
	return &exitCodeError{
		code: exitTimedOut,
		err:  fmt.Errorf("timed out after %s: %w", o.timeout, c.missing(ctx, o.target.name)),
	}
}

// wanted reports whether a results object is what is waited for.
type wanted func(object *metav1.ObjectMeta) bool

// now returns the run if its results are there, else what to wait for. It says
// so where there is nothing yet, and is an error where nothing will come.
func (o *waitOptions) now(ctx context.Context, c *cluster) (wanted, *resultsview.Run, error) {
	seen, err := c.look(ctx, o.target.name)
	if err != nil {
		return nil, nil, err
	}
	// After the Job, so that one that goes meanwhile has its results in here.
	runs, err := c.runsOf(ctx, o.target.name)
	if err != nil {
		return nil, nil, err
	}
	uid := o.target.run
	if uid == "" && seen.job != nil {
		uid = string(seen.job.UID)
	}
	at := slices.IndexFunc(runs, func(s stored) bool { return strings.HasPrefix(s.uid(), uid) })
	switch {
	case at >= 0:
		run, err := c.open(ctx, runs[at].kind, runs[at].Name)
		return nil, run, err
	case seen.job != nil && !seen.optedIn():
		return nil, nil, errors.New(seen.whyMissing(c.namespace, o.target.name))
	case seen.job == nil && !seen.hidden:
		fmt.Fprintf(o.ErrOut, "There is no Job %s in namespace %s, and no results of %s; waiting for them.\n",
			o.target.name, c.namespace, o.target.what())
	}
	return o.later(uid, runs), nil, nil
}

// later returns what to wait for: this run or, unless one was asked for, any
// that is not there yet.
func (o *waitOptions) later(uid string, runs []stored) wanted {
	known := make(map[string]bool, len(runs))
	for i := range runs {
		known[runs[i].uid()] = true
	}
	return func(object *metav1.ObjectMeta) bool {
		this := object.Labels[api.JobUIDLabel]
		if o.target.run != "" {
			return strings.HasPrefix(this, uid)
		}
		return !known[this]
	}
}

// await returns the first results object of the Job that is wanted. It watches
// the results, not the Job, which may be deleted when they are there.
func (c *cluster) await(ctx context.Context, job string, is wanted) (*stored, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	selector := resultsOf(labels.Set{api.JobNameLabel: names.LabelValue(job)})
	var found atomic.Pointer[stored]
	var group errgroup.Group
	for _, k := range c.readable(ctx) {
		group.Go(func() error {
			event, err := watchtools.UntilWithSync(ctx, c.watcher(k, selector), &metav1.PartialObjectMetadata{}, nil, matches(is))
			if err != nil {
				return fmt.Errorf("waiting for results: %w", err)
			}
			if object, isMetadata := event.Object.(*metav1.PartialObjectMetadata); isMetadata {
				found.CompareAndSwap(nil, &stored{ObjectMeta: object.ObjectMeta, kind: k})
			}
			cancel()
			return nil
		})
	}
	err := group.Wait()
	if s := found.Load(); s != nil {
		return s, nil
	}
	return nil, err //nolint:wrapcheck // it is wrapped in the group
}

func matches(is wanted) watchtools.ConditionFunc {
	return func(event watch.Event) (bool, error) {
		object, isMetadata := event.Object.(*metav1.PartialObjectMetadata)
		return isMetadata && event.Type != watch.Deleted && is(&object.ObjectMeta), nil
	}
}

// watcher lists and watches the metadata of objects with these labels.
func (c *cluster) watcher(k kind, selector string) cache.ListerWatcher {
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
