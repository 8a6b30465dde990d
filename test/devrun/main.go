// Command devrun runs the Makefile targets that show Job Handler at work. `devrun
// run` runs the manager on this machine against the cluster of `make cluster`, until
// interrupted. `devrun demo` shows some Jobs, on a temporary cluster or on one where
// Job Handler is installed.
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

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/hostmanager"
)

// How long ending and cleaning up may take after an interrupt.
const cleanupTimeout = 5 * time.Minute

func main() {
	// What the program has to say is printed; the libraries' lines would mix with it.
	ctrl.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "devrun:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func newCommand() *cobra.Command {
	var binary string
	on := target{}
	root := &cobra.Command{
		Use: "devrun", Short: "Run the manager on this machine",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&binary, "manager", "bin/job-handler", "the manager's program")
	root.PersistentFlags().StringVar(&on.dir, "cluster", "bin/cluster", "folder of the local cluster")
	root.PersistentFlags().StringVar(&on.on, "on", onLocal,
		"local: a cluster on this machine; current: that of kubectl's current context")
	root.AddCommand(&cobra.Command{
		Use: "run [-- manager flags]", Short: "Run the manager against the local cluster until interrupted",
		RunE: func(command *cobra.Command, args []string) error {
			return runManager(command.Context(), binary, on, args)
		},
	}, &cobra.Command{
		Use: "demo", Short: "Show four Jobs: on a cluster made for it, or where Job Handler is installed", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if on.on == onLocal {
				return demo(command.Context(), binary)
			}
			return demoOn(command.Context(), binary, on)
		},
	})
	return root
}

func runManager(ctx context.Context, binary string, on target, args []string) (err error) {
	cluster, err := on.local()
	if err != nil {
		return err
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
