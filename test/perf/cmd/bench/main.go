// Command bench measures Job Handler. `bench run` runs the scenarios and writes
// tables, JSON, plots and profiles. `bench check` compares a report with the limits
// that are kept with the code. `bench docs` writes the tables and plots of the
// documentation from reports.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/test/perf/harness"
	"github.com/job-handler/job-handler/test/perf/report"
)

const (
	reportFile = "report.json"
	boundsFile = "test/perf/bounds.yaml"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrl.SetLogger(logr.Discard())
	root := &cobra.Command{Use: "bench", Short: "Measure Job Handler", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(newRun(), newCheck(), newDocs())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

// modes are the sizes by the name of what is run.
var modes = map[string]harness.Sizes{
	"tiny": harness.Tiny, "bench": harness.Small, "full": harness.Large, "huge": harness.Huge,
}

func newRun() *cobra.Command {
	settings := &harness.Settings{Progress: os.Stderr}
	var mode, version string
	var jobs int
	command := &cobra.Command{
		Use: "run", Short: "Run the scenarios", Args: cobra.NoArgs,
		Long: "Run the scenarios, or some of them: " + strings.Join(harness.Names(), ", "),
	}
	flags := command.Flags()
	flags.StringVar(&mode, "mode", "bench", "how much: tiny, bench (2,000 Jobs), full (10,000) or huge (50,000)")
	flags.StringSliceVar(&settings.Only, "only", nil, "scenarios to run; empty: all")
	flags.IntVar(&jobs, "jobs", 0, "how many finished Jobs wait, in place of what the mode has")
	flags.StringVar(&settings.Manager, "manager", "bin/job-handler", "the manager's program")
	flags.StringVar(&settings.Plain, "plain", "bin/plain", "the plain controller's program")
	flags.StringVar(&settings.Output, "output", "bin/bench/bench", "folder for what comes out")
	flags.StringVar(&version, "version", "", "what the report calls the manager's version")
	command.RunE = func(command *cobra.Command, _ []string) error {
		sizes, known := modes[mode]
		if !known {
			return fmt.Errorf("--mode: invalid value %q: must be tiny, bench, full or huge", mode)
		}
		if jobs > 0 {
			sizes.Drain, sizes.Other = jobs, jobs
		}
		settings.Sizes = sizes
		began := time.Now()
		r := &report.Report{Mode: mode, Began: began.UTC().Truncate(time.Second), Command: commandOf(mode), Version: version}
		return runAll(command, settings, r, began)
	}
	return command
}

// commandOf returns what a mode is run by.
func commandOf(mode string) string {
	switch mode {
	case "bench":
		return "make bench"
	case "full", "huge":
		return "make bench-full (" + mode + ")"
	default:
		return "bench run --mode " + mode
	}
}

// runAll runs the scenarios, and writes what was found before an error too.
func runAll(command *cobra.Command, settings *harness.Settings, r *report.Report, began time.Time) error {
	if err := os.MkdirAll(settings.Output, 0o755); err != nil {
		return err
	}
	machine, err := harness.Machine(command.Context())
	if err != nil {
		return err
	}
	r.Machine = machine
	failure := harness.Run(command.Context(), settings, r)
	r.Seconds = time.Since(began).Seconds()
	if err := r.Write(filepath.Join(settings.Output, reportFile)); err != nil {
		return err
	}
	if err := r.WritePlots(settings.Output); err != nil {
		return err
	}
	if err := r.WriteText(command.OutOrStdout()); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "all in %s; everything is in %s\n", time.Since(began).Round(time.Second), settings.Output)
	return failure
}

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check [folder of a run]", Short: "Hold a run against the bounds of " + boundsFile, Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			folder := "bin/bench/bench"
			if len(args) > 0 {
				folder = args[0]
			}
			r, err := report.Read(filepath.Join(folder, reportFile))
			if err != nil {
				return err
			}
			bounds, err := report.ReadBounds(boundsFile)
			if err != nil {
				return err
			}
			text, failed := bounds.Check(r)
			fmt.Fprint(command.OutOrStdout(), text)
			if failed > 0 {
				return fmt.Errorf("%d of %d bounds do not hold", failed, len(bounds.Checks))
			}
			return nil
		},
	}
}

func newDocs() *cobra.Command {
	return &cobra.Command{
		Use: "docs <folder of a run>...", Short: "Write the tables and plots of docs from runs", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			bounds, err := report.ReadBounds(boundsFile)
			if err != nil {
				return err
			}
			var reports []*report.Report
			for _, folder := range args {
				r, err := report.Read(filepath.Join(folder, reportFile))
				if err != nil {
					return err
				}
				reports = append(reports, r)
			}
			return report.WriteDocs("docs", bounds, reports)
		},
	}
}
