// Command kubernetesmodules writes the Go modules of older Kubernetes releases below
// internal/localcluster/programs: go.mod and go.sum of each release of
// localcluster.Releases, or of the minors given as arguments. It asks the module
// proxy.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"github.com/job-handler/job-handler/internal/localcluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kubernetesmodules:", err)
		os.Exit(1) //nolint:gocritic // Nothing is left to be done by stop.
	}
}

func run(ctx context.Context, minors []string) error {
	written := 0
	for _, release := range localcluster.Releases() {
		if len(minors) > 0 && !slices.Contains(minors, release.Minor()) {
			continue
		}
		if err := write(ctx, release); err != nil {
			return fmt.Errorf("writing the module of Kubernetes %s: %w", release.Version, err)
		}
		written++
	}
	if written == 0 {
		return errors.New("none of these minors is one of localcluster.Releases")
	}
	return nil
}
