// Command kubectl-job_results is a kubectl plugin: `kubectl job-results` lists the
// results of finished Jobs, shows them, prints their logs, and waits for them. See
// --help. It uses the rights of its user and must not import controllers, webhooks
// or certs.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	err := newCommand(streams, clock.RealClock{}).ExecuteContext(ctx)
	stop()
	os.Exit(report(err, streams.ErrOut))
}
