package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/job-handler/job-handler/internal/version"
)

const description = `Read what Job Handler kept of finished Jobs: outcome, container states, logs and
the values that they reported. NAME is a Job's name, which stands for its newest
run, or the name of a results object. The Job itself need not exist any more.`

// Exit codes. Scripts rely on those of wait.
const (
	exitError    = 1
	exitFailed   = 1
	exitTimedOut = 2
	// exitWaitError is the code of a wait that cannot succeed.
	exitWaitError = 3
)

// plugin has what all commands share.
type plugin struct {
	genericiooptions.IOStreams
	config *genericclioptions.ConfigFlags
	clock  clock.PassiveClock
}

func newCommand(streams genericiooptions.IOStreams, passive clock.PassiveClock) *cobra.Command {
	p := &plugin{IOStreams: streams, config: genericclioptions.NewConfigFlags(true), clock: passive}
	root := &cobra.Command{
		Use:           "kubectl-job_results",
		Short:         "Read the results of finished Jobs",
		Long:          description,
		Version:       version.String(),
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl job-results"},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("kubectl job-results {{.Version}}\n")
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	p.config.AddFlags(root.PersistentFlags())
	root.AddCommand(newList(p), newGet(p), newLogs(p), newWait(p))
	// It fails only for an unknown flag.
	_ = root.RegisterFlagCompletionFunc("namespace", p.completeNamespace)
	return root
}

// exitCodeError ends the program with a code; the command has printed its message.
type exitCodeError struct {
	code int
	err  error
}

func (e *exitCodeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitCodeError) Unwrap() error { return e.err }

// report prints the error and returns the exit code.
func report(err error, out io.Writer) int {
	var exit *exitCodeError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintln(out, "Error:", safe(exit.err.Error()))
		}
		return exit.code
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(out, "Error: interrupted")
		return exitError
	default:
		fmt.Fprintln(out, "Error:", safe(err.Error()))
		return exitError
	}
}
