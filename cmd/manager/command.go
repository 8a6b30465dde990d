package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/term"

	"github.com/job-handler/job-handler/internal/options"
	"github.com/job-handler/job-handler/internal/version"
)

const description = `Job Handler keeps the results of batch Jobs.

Label a Namespace (or a Job) job-handler/enabled=true. When a Job there
finishes, its logs, container states and outcome are stored in the ConfigMap
<job>-results; a completed Job is then deleted, a failed one is kept.

Before it is uninstalled, "job-handler release" takes back what it holds: see
job-handler release --help.`

// newCommand returns the command with its flags in groups. It refuses invalid flags
// before it connects.
func newCommand() *cobra.Command {
	opts := options.New()
	command := &cobra.Command{
		Use:           "job-handler",
		Short:         "Keep the results of batch Jobs",
		Long:          description,
		Version:       version.String(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: false,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := opts.Validate(); err != nil {
				return fmt.Errorf("invalid flags (see --help):\n%w", err)
			}
			return run(command.Context(), opts)
		},
	}
	command.SetVersionTemplate("job-handler {{.Version}}\n")
	flags := opts.Flags()
	for _, set := range flags.FlagSets {
		command.Flags().AddFlagSet(set)
	}
	width, _, err := term.TerminalSize(os.Stdout)
	if err != nil {
		width = 0
	}
	cliflag.SetUsageAndHelpFunc(command, flags, width)
	command.CompletionOptions.DisableDefaultCmd = true
	command.AddCommand(newRelease(width), newSelfTest(width))
	return command
}
