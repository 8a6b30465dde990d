// Command devrun runs the manager on this machine for people who develop or
// look at it: `devrun run` against the cluster of `make cluster`, until
// interrupted, and `devrun demo` with a cluster of its own, through two
// stories, leaving nothing behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/job-handler/job-handler/internal/hostmanager"
	"github.com/job-handler/job-handler/internal/localcluster"
)

// How long ending and cleaning up may take after an interrupt.
const cleanupTimeout = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "devrun:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func newCommand() *cobra.Command {
	var binary, clusterDir string
	root := &cobra.Command{
		Use: "devrun", Short: "Run the manager on this machine",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&binary, "manager", "bin/job-handler", "the manager's program")
	root.PersistentFlags().StringVar(&clusterDir, "cluster", "bin/cluster", "folder of the local cluster that run uses")
	root.AddCommand(&cobra.Command{
		Use: "run [-- manager flags]", Short: "Run the manager against the local cluster until interrupted",
		RunE: func(command *cobra.Command, args []string) error {
			return runManager(command.Context(), binary, clusterDir, args)
		},
	}, &cobra.Command{
		Use: "demo", Short: "Show two Jobs on a cluster made for it", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return demo(command.Context(), binary)
		},
	})
	return root
}

func runManager(ctx context.Context, binary, clusterDir string, args []string) (err error) {
	cluster, err := localcluster.Open(clusterDir)
	if errors.Is(err, localcluster.ErrNotRunning) {
		return fmt.Errorf("no cluster is running in %s: start one with `make cluster`", clusterDir)
	}
	if err != nil {
		return fmt.Errorf("opening the cluster in %s: %w", clusterDir, err)
	}
	manager, err := hostmanager.Start(ctx, hostmanager.Options{
		Cluster: cluster, Binary: binary, Dir: filepath.Join("bin", "run"), Args: args, Output: os.Stdout,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(ctx, manager)) }()
	if err := manager.AwaitAdmission(ctx); err != nil {
		return fmt.Errorf("waiting for admission: %w", err)
	}
	fmt.Printf("\nThe manager is ready. In another shell:\n\n"+
		"  export KUBECONFIG=%s\n"+
		"  kubectl label namespace default job-handler/enabled=true\n\n"+
		"Interrupt with Ctrl-C.\n\n", cluster.Kubeconfig())
	select {
	case <-manager.Done():
		return errors.New("the manager ended by itself; its last lines say why")
	case <-ctx.Done():
		fmt.Println("\nstopping the manager and removing its webhook configurations")
		return nil
	}
}

// end stops the manager and takes back what sends requests to it.
func end(ctx context.Context, manager *hostmanager.Manager) error {
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	return errors.Join(manager.Stop(cleanup), manager.Uninstall(cleanup))
}
