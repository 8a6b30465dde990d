package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/kubectl/pkg/cmd/get"

	"github.com/job-handler/job-handler/internal/resultsview"
)

// getOptions are the flags of get.
type getOptions struct {
	*plugin
	target target
	output *get.PrintFlags
	lines  int
}

func newGet(p *plugin) *cobra.Command {
	o := &getOptions{plugin: p, output: printFlags()}
	command := &cobra.Command{
		Use: "get NAME", Short: "Show a run on one screen", Args: cobra.ExactArgs(1),
		Example: "  # The newest run of a Job, which may be deleted already\n  kubectl job-results get nightly-report\n\n" +
			"  # One value that the Job reported\n  kubectl job-results get nightly-report -o jsonpath='{.data.records-processed}'",
		ValidArgsFunction: p.completeName,
		RunE: func(command *cobra.Command, args []string) error {
			o.target.name = args[0]
			return o.run(command.Context())
		},
	}
	o.target.addFlags(command)
	o.output.AddFlags(command)
	command.Flags().IntVar(&o.lines, "lines", 10, "Last lines to show of each container that failed.")
	return command
}

func (o *getOptions) run(ctx context.Context) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	run, err := c.find(ctx, o.target)
	if err != nil {
		return err
	}
	if *o.output.OutputFormat == "" && table(o.output) {
		return o.printScreen(ctx, c, run)
	}
	printer, err := o.output.ToPrinter()
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	if table(o.output) {
		one := newListing(o.output, o.clock.Now())
		one.add(run)
		return o.print(printer, one.table(), run)
	}
	object, err := plain(run)
	if err != nil {
		return err
	}
	return o.print(printer, object, run)
}

func (o *getOptions) print(printer printers.ResourcePrinter, object runtime.Object, run *resultsview.Run) error {
	if err := printer.PrintObj(object, output(o.output, o.Out)); err != nil {
		return fmt.Errorf("printing %s: %w", run.Object, err)
	}
	return nil
}

// printScreen prints the screen, even if a part of the logs is lost.
func (o *getOptions) printScreen(ctx context.Context, c *cluster, run *resultsview.Run) error {
	logs, err := c.logs(ctx, run)
	var lost *resultsview.PartError
	if err != nil && !errors.As(err, &lost) {
		return err
	}
	if err := printScreen(o.Out, run, logs, screenOptions{now: o.clock.Now(), lines: o.lines}); err != nil || lost == nil {
		return err
	}
	return unreadable(run, lost)
}
