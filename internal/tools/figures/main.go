// Command figures prints how large the code is and what shape it has: lines,
// packages, the types with the most methods, the lengths of functions, waivers of
// linters, requirements of modules. With --compare it prints the same of a revision
// beside it. The product is what the programs of --product link, and packages called
// api. Generated files and what is below testdata do not count.
//
// With --coverprofile it prints too what a run of the product executes. Of a
// successful Job that is the profile of one spec of the controller:
//
//	go test ./controllers/job -ginkgo.focus='…' -coverpkg=./... -coverprofile=bin/way.out
//
// The start of the process is in it as well.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1) //nolint:gocritic // Nothing is left to be done by stop.
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var product []string
	var before, profile, profileBefore string
	flags := pflag.NewFlagSet("figures", pflag.ContinueOnError)
	flags.StringSliceVar(&product, "product", []string{"cmd/manager", "cmd/kubectl-job_results"}, "Folders of the programs that are the product.")
	flags.StringVar(&before, "compare", "", "Revision to compare with.")
	flags.StringVar(&profile, "coverprofile", "", "Coverage profile of a run, such as that of one spec.")
	flags.StringVar(&profileBefore, "compare-coverprofile", "", "The same of the revision to compare with.")
	if err := flags.Parse(args); err != nil {
		return err
	}
	sources, err := worktree(ctx)
	if err != nil {
		return err
	}
	now, err := figuresOf(sources, product, profile)
	if err != nil {
		return err
	}
	if before == "" {
		return write(out, rows(now))
	}
	if sources, err = revision(ctx, before); err != nil {
		return err
	}
	then, err := figuresOf(sources, product, profileBefore)
	if err != nil {
		return fmt.Errorf("revision %s: %w", before, err)
	}
	return write(out, compared(before, then, now))
}

// figuresOf counts the figures of a tree, and of a profile if there is one.
func figuresOf(sources tree, product []string, profile string) ([]figure, error) {
	c, err := read(sources)
	if err != nil {
		return nil, err
	}
	linked := c.linked(product)
	figures := c.figures(linked)
	if profile == "" {
		return figures, nil
	}
	file, err := os.Open(profile)
	if err != nil {
		return nil, fmt.Errorf("opening the coverage profile: %w", err)
	}
	defer file.Close()
	executed, err := c.executed(file, linked)
	return append(figures, executed...), err
}
