package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	cliflag "k8s.io/component-base/cli/flag"

	"github.com/job-handler/job-handler/internal/options"
	"github.com/job-handler/job-handler/internal/selftest"
	"github.com/job-handler/job-handler/webhooks"
)

const selfTestDescription = `Check once that the webhook stamps Jobs.

It creates a Job in a dry run in the manager's namespace, as the manager itself
does every --self-test-interval, and looks at what comes back. Nothing is
created. It tries again until the Job comes back stamped; after --timeout it
fails and says what was wrong and what to do.`

// selfTestFlags are the flags of the subcommand self-test.
type selfTestFlags struct {
	kubeconfig string
	namespace  string
	timeout    time.Duration
}

// newSelfTest returns the subcommand self-test.
func newSelfTest(width int) *cobra.Command {
	values := &selfTestFlags{namespace: options.New().Manager.Namespace, timeout: 30 * time.Second}
	command := &cobra.Command{
		Use:   "self-test",
		Short: "Check once that the webhook stamps Jobs",
		Long:  selfTestDescription,
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return values.run(command.Context(), command.OutOrStdout())
		},
	}
	var sets cliflag.NamedFlagSets
	flags := sets.FlagSet("Self-test")
	flags.StringVar(&values.kubeconfig, "kubeconfig", "",
		"Kubeconfig file. If empty: $KUBECONFIG, then the pod's own account, then ~/.kube/config.")
	flags.StringVar(&values.namespace, "namespace", values.namespace, "Namespace of the manager. $POD_NAMESPACE sets the default.")
	flags.DurationVar(&values.timeout, "timeout", values.timeout,
		"How long to retry. API servers take a moment to notice a webhook configuration.")
	command.Flags().AddFlagSet(flags)
	cliflag.SetUsageAndHelpFunc(command, sets, width)
	return command
}

func (f *selfTestFlags) run(ctx context.Context, out io.Writer) error {
	if f.timeout <= 0 {
		return fmt.Errorf("--timeout: invalid value %q: must be more than 0s", f.timeout)
	}
	kube, err := subcommandClient(f.kubeconfig)
	if err != nil {
		return err
	}
	once := selftest.Once{Client: kube, Namespace: f.namespace, Configuration: webhooks.ConfigurationName}
	if err := once.Run(ctx, f.timeout); err != nil {
		return err
	}
	fmt.Fprintln(out, "Jobs are stamped when they are created.")
	return nil
}
