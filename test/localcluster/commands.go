package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/test/node"
)

func newCommand() *cobra.Command {
	var dir string
	root := &cobra.Command{
		Use:           "localcluster",
		Short:         "Run a real one-node Kubernetes cluster on this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.PersistentFlags().StringVar(&dir, "dir", "bin/cluster", "data folder of the cluster")
	root.AddCommand(newUp(&dir), newDown(&dir), newStatus(&dir), newBuild(), newMinors(), newLoad(&dir), newKubectl(&dir))
	return root
}

// request is the cluster that up is to start.
type request struct {
	mode      localcluster.Mode
	fakeNodes int
	localcluster.Options
}

func newUp(dir *string) *cobra.Command {
	r := request{Options: localcluster.Options{Detach: true, ControllerManager: true, Scheduler: true}}
	command := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster and leave it running; if it runs and is healthy, say so",
		Args:  cobra.NoArgs,
	}
	flags := command.Flags()
	flags.StringVar((*string)(&r.mode), "mode", string(node.Mode),
		"node: this machine runs containers, needs root; kwok: simulated nodes; control-plane: no nodes")
	flags.BoolVar(&r.CertManager, "cert-manager", false, "run cert-manager's controllers and CA injector")
	flags.BoolVar(&r.Sync, "sync", false, "have etcd wait for the disk at every write")
	flags.IntVar(&r.fakeNodes, "fake-nodes", 1, "number of simulated nodes in mode kwok")
	command.RunE = func(command *cobra.Command, _ []string) error {
		r.Dir, r.Progress = *dir, command.OutOrStdout()
		return up(command, r)
	}
	return command
}

func up(command *cobra.Command, r request) error {
	ctx, out := command.Context(), command.OutOrStdout()
	running, err := node.Open(r.Dir)
	if err == nil && running.Mode() != r.mode {
		return fmt.Errorf("the cluster that runs in %s has mode %s; end it first: localcluster down --dir %s",
			running.Dir(), running.Mode(), r.Dir)
	}
	if err == nil {
		err = running.Healthy(ctx)
	}
	if err == nil {
		fmt.Fprintf(out, "The cluster in %s is running and healthy.\n", running.Dir())
		printNext(out, running.Cluster)
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !errors.Is(err, localcluster.ErrNotRunning) {
		fmt.Fprintf(out, "The cluster is not healthy: %v\nIt is started afresh.\n", err)
	}
	removed, err := node.Down(ctx, r.Dir)
	printRemoved(out, removed)
	if err != nil {
		return err
	}
	cluster, err := r.start(ctx)
	if err != nil {
		return err
	}
	printNext(out, cluster)
	return nil
}

// start starts the cluster of the mode.
func (r request) start(ctx context.Context) (*localcluster.Cluster, error) {
	switch r.mode {
	case localcluster.ControlPlane:
		return localcluster.Start(ctx, r.Options)
	case node.KWOKMode:
		return node.StartKWOK(ctx, node.KWOKOptions{Options: r.Options, Count: r.fakeNodes})
	case node.Mode:
		cluster, err := node.Start(ctx, node.Options{Options: r.Options})
		if err != nil {
			return nil, err
		}
		return cluster.Cluster, nil
	default:
		return nil, fmt.Errorf("unknown mode %q: the modes are %s, %s and %s", r.mode, node.Mode, node.KWOKMode, localcluster.ControlPlane)
	}
}

func printNext(out io.Writer, cluster *localcluster.Cluster) {
	fmt.Fprintf(out, "\nUse it:    export KUBECONFIG=%s\n           %s get nodes\n",
		cluster.Kubeconfig(), cluster.Kubectl())
	fmt.Fprintf(out, "Logs are in %s\n", cluster.Logs())
}

func newDown(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the cluster and remove everything that it made, also after a crash; keep its logs",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			removed, err := node.Down(command.Context(), *dir)
			printRemoved(command.OutOrStdout(), removed)
			if err == nil && len(removed) == 0 {
				fmt.Fprintf(command.OutOrStdout(), "There is no cluster in %s, and nothing is left of one.\n", *dir)
			}
			return err
		},
	}
}

func printRemoved(out io.Writer, removed []string) {
	for _, what := range removed {
		fmt.Fprintln(out, "removed", what)
	}
}

func newStatus(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the cluster is; the exit code is 0 if it is healthy",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			cluster, err := node.Open(*dir)
			if err != nil {
				return err
			}
			components, err := cluster.Components(command.Context())
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 3, ' ', 0)
			fmt.Fprintln(table, "COMPONENT\tSTATE\tLOG\tDETAIL")
			for _, part := range components {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", part.Name, describe(part), part.Log, part.Detail)
			}
			_ = table.Flush()
			return cluster.Healthy(command.Context())
		},
	}
}

func describe(part localcluster.ComponentStatus) string {
	switch {
	case part.Healthy:
		return "healthy"
	case part.Running:
		return "not answering"
	default:
		return "ended"
	}
}

// sets are the sets of programs by the names of the modes that need them.
var sets = map[string]localcluster.Set{
	string(localcluster.ControlPlane): localcluster.ControlPlanePrograms,
	string(node.KWOKMode):             localcluster.ControlPlanePrograms | localcluster.KWOKPrograms,
	string(node.Mode):                 localcluster.ControlPlanePrograms | localcluster.NodePrograms,
	"cert-manager":                    localcluster.CertManagerPrograms,
	"all":                             localcluster.AllPrograms,
}

func newBuild() *cobra.Command {
	var minor string
	command := &cobra.Command{
		Use:       "build [all|cert-manager|control-plane|kwok|node]",
		Short:     "Build the programs that a cluster needs, if they are not there yet",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"all", "cert-manager", "control-plane", "kwok", "node"},
		RunE: func(command *cobra.Command, args []string) error {
			set := localcluster.AllPrograms
			if len(args) == 1 {
				set = sets[args[0]]
			}
			programs, err := localcluster.Build(command.Context(), minor, set, command.OutOrStdout())
			if err == nil {
				fmt.Fprintln(command.OutOrStdout(), "The programs are in", strings.Join(programs.Folders(), ", "))
			}
			return err
		},
	}
	command.Flags().StringVar(&minor, "kubernetes", os.Getenv(localcluster.ReleaseVariable),
		"minor of the API server and the controller manager, such as 1.30; empty: the newest")
	return command
}

func newMinors() *cobra.Command {
	return &cobra.Command{
		Use:   "minors <minor|oldest|newest|all>...",
		Short: "Print the minors of Kubernetes that are named, one a line, if a cluster can have them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			known, err := localcluster.Minors()
			if err != nil {
				return err
			}
			minors, err := chosenMinors(known, args)
			for _, minor := range minors {
				fmt.Fprintln(command.OutOrStdout(), minor)
			}
			return err
		},
	}
}

// chosenMinors returns those of known, oldest first, that are named.
func chosenMinors(known, names []string) ([]string, error) {
	words := map[string][]string{"all": known, "oldest": known[:1], "newest": known[len(known)-1:]}
	var chosen []string
	for _, name := range names {
		meant, isWord := words[name]
		if !isWord && !slices.Contains(known, name) {
			return nil, fmt.Errorf("no programs of Kubernetes %q: there are those of %s", name, strings.Join(known, ", "))
		}
		chosen = append(append(chosen, meant...), name)
	}
	return slices.DeleteFunc(slices.Clone(known), func(minor string) bool { return !slices.Contains(chosen, minor) }), nil
}

func newLoad(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "load <archive>",
		Short: "Put the images of an archive on the node, for pods whose imagePullPolicy is Never or IfNotPresent",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			cluster, err := node.Open(*dir)
			if err != nil {
				return err
			}
			if cluster.Mode() != node.Mode {
				return fmt.Errorf("the cluster in %s has mode %s: no node runs containers", cluster.Dir(), cluster.Mode())
			}
			if err := cluster.LoadArchive(command.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(command.OutOrStdout(), "The images of %s are on the node of the cluster in %s.\n", args[0], cluster.Dir())
			return nil
		},
	}
}

func newKubectl(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "kubectl -- [arguments]",
		Short: "Run the cluster's kubectl as its administrator",
		RunE: func(command *cobra.Command, args []string) error {
			cluster, err := node.Open(*dir)
			if err != nil {
				return err
			}
			kubectl := exec.CommandContext(command.Context(), cluster.Kubectl(), args...)
			kubectl.Env = append(os.Environ(), "KUBECONFIG="+cluster.Kubeconfig())
			kubectl.Stdin, kubectl.Stdout, kubectl.Stderr = os.Stdin, os.Stdout, os.Stderr
			return kubectl.Run()
		},
	}
}
