package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	cliflag "k8s.io/component-base/cli/flag"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/options"
	"github.com/job-handler/job-handler/internal/release"
)

const releaseDescription = `Undo what would still act once Job Handler is removed.

Run it with the manager stopped and before its rights are removed; it refuses
while a leader renews the manager's lease, or waits for its end with --wait. In
all namespaces, Jobs lose the finalizer job-handler/results and get back their
own ttlSecondsAfterFinished; Namespaces lose job-handler/enabled-since and
job-handler/enabled-mirrored, and the label job-handler/enabled where the
manager set it.

Results stay, and what people wrote stays: a label or annotation
job-handler/enabled of their own and their defaults on Namespaces. On Jobs the
label job-handler/enabled and the annotations results-name, status and capture
stay too: without Job Handler they do nothing.

With --deleting it only lets Jobs go that are being deleted and that the
finalizer holds, without results where none are stored. The manager may be
running.

It prints a line for each object that it changes, goes on after an error, and
fails with a list of what it could not change. A second run finds nothing to do.`

// releaseFlags are the flags of the subcommand release.
type releaseFlags struct {
	kubeconfig string
	namespace  string
	wait       time.Duration
	dryRun     bool
	deleting   bool
}

// newRelease returns the subcommand release.
func newRelease(width int) *cobra.Command {
	values := &releaseFlags{namespace: options.New().Manager.Namespace}
	command := &cobra.Command{
		Use:   "release",
		Short: "Undo what would still act once Job Handler is removed",
		Long:  releaseDescription,
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return values.run(command.Context(), command.OutOrStdout())
		},
	}
	var sets cliflag.NamedFlagSets
	flags := sets.FlagSet("Release")
	flags.StringVar(&values.kubeconfig, "kubeconfig", "",
		"Kubeconfig file. If empty: $KUBECONFIG, then the pod's own account, then ~/.kube/config.")
	flags.StringVar(&values.namespace, "namespace", values.namespace,
		"Namespace of the manager. Its lease shows whether it still runs. $POD_NAMESPACE sets the default.")
	flags.DurationVar(&values.wait, "wait", 0,
		"How long to wait for a running manager to stop. 0 refuses at once.")
	flags.BoolVar(&values.dryRun, "dry-run", false,
		"Let the API server check every change without making it. The manager may be running.")
	flags.BoolVar(&values.deleting, "deleting", false,
		"Only release Jobs that are being deleted and that the finalizer holds. The manager may be running.")
	command.Flags().AddFlagSet(flags)
	cliflag.SetUsageAndHelpFunc(command, sets, width)
	return command
}

func (f *releaseFlags) run(ctx context.Context, out io.Writer) error {
	if f.wait < 0 {
		return fmt.Errorf("--wait: invalid value %q: must be at least 0s", f.wait)
	}
	kube, err := subcommandClient(f.kubeconfig)
	if err != nil {
		return err
	}
	releaser := &release.Releaser{
		Client: kube, Out: out, DryRun: f.dryRun, Deleting: f.deleting, Wait: f.wait,
		Lease: client.ObjectKey{Namespace: f.namespace, Name: api.ManagerName},
	}
	return releaser.Run(ctx)
}
