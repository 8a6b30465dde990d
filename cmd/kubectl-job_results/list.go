package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kubectl/pkg/cmd/get"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// listOptions are the flags of list.
type listOptions struct {
	*plugin
	output        *get.PrintFlags
	selector      string
	cronJob       string
	since         string
	failed        bool
	allNamespaces bool
}

func newList(p *plugin) *cobra.Command {
	o := &listOptions{plugin: p, output: printFlags()}
	command := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List results, newest first", Args: cobra.NoArgs,
		Example: "  # What failed today, in all namespaces\n  kubectl job-results list -A --failed --since=24h\n\n" +
			"  # The runs of a CronJob\n  kubectl job-results list --cronjob=nightly -o wide",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, _ []string) error {
			return o.run(command.Context())
		},
	}
	o.output.AddFlags(command)
	flags := command.Flags()
	flags.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "List the results in all namespaces.")
	flags.StringVarP(&o.selector, "selector", "l", "", "Label selector, such as -l team=billing; labels of the Job are there if they are propagated.")
	flags.BoolVar(&o.failed, "failed", false, "List only Jobs that failed.")
	flags.StringVar(&o.cronJob, "cronjob", "", "List only the runs of this CronJob.")
	flags.StringVar(&o.since, "since", "", "List only Jobs that finished in this last time (s m h d w), such as 24h.")
	return command
}

// printFlags are those of kubectl get, less the one that sorts.
func printFlags() *get.PrintFlags {
	flags := get.NewGetPrintFlags()
	flags.HumanReadableFlags.SortBy = nil
	return flags
}

func (o *listOptions) run(ctx context.Context) error {
	selector, err := o.labels()
	if err != nil {
		return err
	}
	after, err := o.finishedAfter()
	if err != nil {
		return err
	}
	c, err := o.connect()
	if err != nil {
		return err
	}
	where := "in namespace " + c.namespace
	if o.allNamespaces {
		c.namespace, where = metav1.NamespaceAll, "in any namespace"
	}
	runs, err := o.runs(ctx, c, selector, after)
	if err != nil {
		return err
	}
	if len(runs) == 0 && table(o.output) {
		fmt.Fprintf(o.ErrOut, "No results found %s.\n", where)
		return nil
	}
	return o.printRuns(runs)
}

// labels returns the selector that the flags make up.
func (o *listOptions) labels() (string, error) {
	own := labels.Set{}
	if o.failed {
		own[api.StatusLabel] = api.StatusFailed
	}
	if o.cronJob != "" {
		own[api.CronJobLabel] = names.LabelValue(o.cronJob)
	}
	if _, err := labels.ValidatedSelectorFromSet(own); err != nil {
		return "", fmt.Errorf("--cronjob: %q is not the name of a CronJob", o.cronJob)
	}
	all, err := labels.Parse(resultsOf(own))
	if err != nil {
		return "", fmt.Errorf("selecting results: %w", err)
	}
	given, err := labels.Parse(o.selector)
	if err != nil {
		return "", fmt.Errorf("--selector: %w", err)
	}
	requirements, _ := given.Requirements()
	return all.Add(requirements...).String(), nil
}

// finishedAfter returns the time that --since means, the zero time without it.
func (o *listOptions) finishedAfter() (time.Time, error) {
	if o.since == "" {
		return time.Time{}, nil
	}
	delay, err := policy.ParseDelay(o.since)
	if err != nil || delay.Never {
		return time.Time{}, fmt.Errorf("--since: %q is not a duration such as 90m, 24h or 7d", o.since)
	}
	return o.clock.Now().Add(-delay.After), nil
}

// runs returns what there is, newest first. What cannot be read is named, and
// left out.
func (o *listOptions) runs(ctx context.Context, c *cluster, selector string, after time.Time) ([]*resultsview.Run, error) {
	var runs []*resultsview.Run
	for _, k := range c.readable(ctx) {
		opts := metav1.ListOptions{LabelSelector: selector, Limit: pageSize}
		for more := true; more; more = opts.Continue != "" {
			objects, next, err := k.list(ctx, c.namespace, opts)
			if err != nil {
				return nil, err
			}
			opts.Continue = next
			for _, object := range objects {
				if run := o.keep(object, after); run != nil {
					runs = append(runs, run)
				}
			}
		}
	}
	resultsview.NewestFirst(runs)
	return runs, nil
}

// keep returns the run of object, nil if it is not to be listed. For a table
// all that is large is dropped.
func (o *listOptions) keep(object resultsview.Object, after time.Time) *resultsview.Run {
	run, err := resultsview.Parse(object)
	if err != nil {
		if errors.Is(err, results.ErrDamaged) {
			fmt.Fprintf(o.ErrOut, "Warning: %s in namespace %s: %s\n", object, object.Namespace, safe(err.Error()))
		}
		return nil
	}
	if run.Finished().Before(after) {
		return nil
	}
	if table(o.output) {
		run.Data, run.BinaryData, run.Stored = nil, nil, nil
	}
	return run
}

func (o *listOptions) printRuns(runs []*resultsview.Run) error {
	if o.allNamespaces {
		// It never fails.
		_ = o.output.EnsureWithNamespace()
	}
	printer, err := o.output.ToPrinter()
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	if table(o.output) {
		err = printer.PrintObj(runTable(runs, o.clock.Now()), safeWriter{o.Out})
	} else {
		err = printStored(printer, o.output, runs, o.Out)
	}
	if err != nil {
		return fmt.Errorf("printing results: %w", err)
	}
	return nil
}

// table reports whether the output is a table for people.
func table(flags *get.PrintFlags) bool {
	template := flags.TemplateFlags.TemplateArgument
	format := *flags.OutputFormat
	return format == "wide" || format == "" && (template == nil || strings.TrimSpace(*template) == "")
}
