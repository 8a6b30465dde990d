package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// target is the run that the user names.
type target struct {
	// name is a Job's, or a results object's.
	name string
	// run is the start of the Job's UID, or "" for the newest run.
	run string
}

func (t *target) addFlags(command *cobra.Command) {
	command.Flags().StringVar(&t.run, "run", "",
		"The run to read, by the UID of its Job or the start of it. Default: the newest.")
}

// stored is an existing results object: its metadata and its kind.
type stored struct {
	metav1.ObjectMeta
	kind kind
}

func (s *stored) uid() string { return s.Labels[api.JobUIDLabel] }

func (c *cluster) open(ctx context.Context, k kind, name string) (*resultsview.Run, error) {
	return resultsview.Open(ctx, name, c.fetch(k))
}

// fetch returns a function that gets objects of a kind.
func (c *cluster) fetch(k kind) resultsview.Fetch {
	return func(ctx context.Context, name string) (*results.Object, error) {
		return k.get(ctx, c.namespace, name)
	}
}

// logs returns the logs of run, with their parts.
func (c *cluster) logs(ctx context.Context, run *resultsview.Run) (*resultsview.Logs, error) {
	for _, k := range c.gettable() {
		if k.name() == run.Kind {
			return run.Logs(ctx, c.fetch(k))
		}
	}
	return nil, fmt.Errorf("the kind of %s cannot be read", run.Object)
}

// runsOf returns the results of all runs of the Job, the newest first.
func (c *cluster) runsOf(ctx context.Context, job string) ([]stored, error) {
	return c.metadataOf(ctx, runsSelector(job))
}

// runsSelector selects the results of the Job's runs.
func runsSelector(job string) string {
	return resultsOf(labels.Set{api.JobNameLabel: names.LabelValue(job)})
}

// validName returns an error if name can be neither a Job's nor a results object's.
func validName(name string) error {
	if _, err := labels.ValidatedSelectorFromSet(labels.Set{api.JobNameLabel: names.LabelValue(name)}); err != nil || name == "" {
		return fmt.Errorf("%q is not the name of a Job or of a results object", name)
	}
	return nil
}

// resultsOf selects results objects, not their parts, that have these labels.
func resultsOf(set labels.Set) string {
	if len(set) == 0 {
		return api.ResultsSelector
	}
	return api.ResultsSelector + "," + set.String()
}

// metadataOf returns the objects with these labels, the newest first.
func (c *cluster) metadataOf(ctx context.Context, selector string) ([]stored, error) {
	var found []stored
	for _, k := range c.readable(ctx) {
		list, err := c.metadata.Resource(k.resource()).Namespace(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return nil, fmt.Errorf("listing results: %w", err)
		}
		for i := range list.Items {
			found = append(found, stored{ObjectMeta: list.Items[i].ObjectMeta, kind: k})
		}
	}
	slices.SortStableFunc(found, func(a, b stored) int {
		return cmp.Or(
			b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
			strings.Compare(b.Annotations[api.CreatedAtAnnotation], a.Annotations[api.CreatedAtAnnotation]),
			strings.Compare(a.Name, b.Name),
		)
	})
	return found, nil
}

// choose returns the run of the Job that t names.
func choose(runs []stored, t target) (*stored, error) {
	var chosen *stored
	uids := make([]string, 0, len(runs))
	for i := range runs {
		r := &runs[i]
		uids = append(uids, r.uid())
		if !strings.HasPrefix(r.uid(), t.run) {
			continue
		}
		if chosen != nil && t.run != "" && chosen.uid() != r.uid() {
			return nil, fmt.Errorf("several runs of job %s start with %s: give more of the UID\n%s", t.name, t.run, list(uids, ""))
		}
		if chosen == nil {
			chosen = r
		}
	}
	if chosen == nil {
		return nil, fmt.Errorf("job %s has no run %s; it has, newest first:\n%s", t.name, t.run, list(uids, ""))
	}
	return chosen, nil
}

func list(lines []string, none string) string {
	if len(lines) == 0 {
		return none
	}
	return "  " + strings.Join(lines, "\n  ")
}
