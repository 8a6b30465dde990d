// Command mutate finds what tests do not notice: it changes one condition,
// comparison, returned value, field or statement of a package at a time, runs the
// package's tests, and lists the changes with which they pass.
//
//	mutate [flags] <package>... [-- <flags of the test program>]
//
// The compiler gets the changed file as an overlay, so the work tree stays as it
// is. A change in code that no test executes is counted and not tried. Everything
// is written below --out. A run continues an earlier one of the same test program;
// it does not see changes of files that tests read at run time. Packages whose
// tests need an API server work too, slowly: each change starts one.
//
// No library does this. gremlins v0.6.0 changes operators only, copies the module
// for each worker, and has neither samples nor a limit of time. go-mutesting
// rewrites the sources in place. The module proxy offers no version of it, and none
// of ooze.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// request is what the flags ask for.
type request struct {
	packages []string
	// args are flags of the test program.
	args     []string
	out      string
	since    string
	sample   int
	seed     uint64
	deadline time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1) //nolint:gocritic // Nothing is left to be done by stop.
	}
}

func parse(args []string) (request, error) {
	var r request
	var match string
	var limit time.Duration
	flags := pflag.NewFlagSet("mutate", pflag.ContinueOnError)
	flags.StringVar(&match, "run", "", "Run only the tests that match, as in go test.")
	flags.StringVar(&r.since, "since", "", "Change only lines that changed since this revision.")
	flags.IntVar(&r.sample, "sample", 0, "Mutants to try in each package, drawn at random; 0 for all.")
	flags.Uint64Var(&r.seed, "seed", 1, "Seed of the sample, and of the order if there is a limit.")
	flags.DurationVar(&limit, "limit", 0, "Time after which no more mutants are tried, such as 20m; 0 for no limit.")
	flags.StringVar(&r.out, "out", "bin/mutants", "Folder of the report and of outcomes so far.")
	if err := flags.Parse(args); err != nil {
		return r, err
	}
	r.packages = flags.Args()
	if dash := flags.ArgsLenAtDash(); dash >= 0 {
		r.packages, r.args = flags.Args()[:dash], flags.Args()[dash:]
	}
	if match != "" {
		r.args = append(r.args, "-test.run="+match)
	}
	if limit > 0 {
		r.deadline = time.Now().Add(limit)
	}
	if len(r.packages) == 0 {
		return r, errors.New("name a package, such as ./internal/plan")
	}
	return r, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	r, err := parse(args)
	if err != nil {
		return err
	}
	targets, err := find(ctx, r.packages)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return fmt.Errorf("making the folder of the report: %w", err)
	}
	report := filepath.Join(r.out, "report.md")
	for i := range targets {
		if err := targets[i].try(ctx, r, out); err != nil {
			return fmt.Errorf("%s: %w", targets[i].ImportPath, err)
		}
		if err := os.WriteFile(report, []byte(render(targets[:i+1])), 0o644); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	fmt.Fprintf(out, "\n%s\nWhat survived and what no test executes: %s\n", table(targets), report)
	return nil
}
