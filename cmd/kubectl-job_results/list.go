package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
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
	flags.StringVarP(&o.selector, "selector", "l", "", "Label selector, such as -l team=billing. It matches labels of the Job if they are propagated.")
	flags.BoolVar(&o.failed, "failed", false, "List only Jobs that failed.")
	flags.StringVar(&o.cronJob, "cronjob", "", "List only the runs of this CronJob.")
	flags.StringVar(&o.since, "since", "", "List only Jobs that finished within this time before now (s m h d w), such as 24h.")
	return command
}

// printFlags are those of kubectl get, except for sorting.
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
	found := newListing(o.output, o.clock.Now())
	// Print what was read before an error too.
	failed := o.read(ctx, c, selector, after, found)
	if found.empty() && failed != nil {
		return failed
	}
	if found.empty() && table(o.output) {
		fmt.Fprintf(o.ErrOut, "No results found %s.\n", where)
		return nil
	}
	return errors.Join(o.print(found), failed)
}

// labels returns the selector of the flags.
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

// finishedAfter returns the time for --since, the zero time without it.
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

// read adds the existing results to found. It names results that cannot be read, and
// leaves them out.
func (o *listOptions) read(ctx context.Context, c *cluster, selector string, after time.Time, found *listing) error {
	for _, k := range c.readable(ctx) {
		opts := metav1.ListOptions{LabelSelector: selector, Limit: pageSize}
		for more := true; more; more = opts.Continue != "" {
			objects, next, err := k.list(ctx, c.namespace, opts)
			if rest := restAfter(err); rest != "" && rest != opts.Continue {
				next, err = rest, nil
			}
			if err != nil {
				return err
			}
			opts.Continue = next
			for _, object := range objects {
				o.add(object, after, found)
			}
		}
	}
	return nil
}

// restAfter returns where to continue a list whose token has expired: the rest may be
// newer than the pages before. It returns "" for other errors.
func restAfter(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &status) {
		return ""
	}
	return status.Status().Continue
}

// add adds the run of object, unless a flag excludes it.
func (o *listOptions) add(object *results.Object, after time.Time, found *listing) {
	run, err := resultsview.Parse(object)
	switch {
	case errors.Is(err, results.ErrDamaged):
		fmt.Fprintf(o.ErrOut, "Warning: %s in namespace %s: %s\n", object, object.Namespace, safe(err.Error()))
	case err == nil && !run.Finished().Before(after):
		found.add(run)
	}
}

func (o *listOptions) print(found *listing) error {
	if o.allNamespaces {
		// It never fails.
		_ = o.output.EnsureWithNamespace()
	}
	printer, err := o.output.ToPrinter()
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	var objects runtime.Object = found.table()
	if !table(o.output) {
		if objects, err = plainList(found.newestFirst()); err != nil {
			return err
		}
	}
	if err := printer.PrintObj(objects, output(o.output, o.Out)); err != nil {
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
