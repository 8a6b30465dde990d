package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/deploy"
	"github.com/job-handler/job-handler/internal/localcluster"
)

// Where a command works.
const (
	onLocal   = "local"
	onCurrent = "current"
)

// target is the cluster that a command works on.
type target struct {
	// on is onLocal or onCurrent.
	on string
	// dir is the folder of the local cluster.
	dir string
}

// place is a target that was found.
type place struct {
	config *rest.Config
	// kubectl and kubeconfig are what to run against it; the kubeconfig is empty
	// where kubectl finds it by itself.
	kubectl, kubeconfig string
	name                string
}

// open finds the cluster.
func (t target) open() (place, error) {
	switch t.on {
	case onLocal:
		cluster, err := t.local()
		if err != nil {
			return place{}, err
		}
		return place{
			config: cluster.RESTConfig(), kubectl: cluster.Kubectl(), kubeconfig: cluster.Kubeconfig(),
			name: "the local cluster in " + t.dir,
		}, nil
	case onCurrent:
		return current()
	default:
		return place{}, fmt.Errorf("--on=%s: it is %s or %s", t.on, onLocal, onCurrent)
	}
}

func (t target) local() (*localcluster.Cluster, error) {
	cluster, err := localcluster.Open(t.dir)
	if errors.Is(err, localcluster.ErrNotRunning) {
		return nil, fmt.Errorf("no cluster is running in %s: start one with `make cluster`", t.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the cluster in %s: %w", t.dir, err)
	}
	return cluster, nil
}

// current is the cluster of kubectl's current context.
func current() (place, error) {
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil)
	file, err := loader.RawConfig()
	if err != nil {
		return place{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	restConfig, err := loader.ClientConfig()
	if err != nil {
		return place{}, fmt.Errorf("connecting to the current context %q: %w", file.CurrentContext, err)
	}
	restConfig.QPS = -1
	name := fmt.Sprintf("context %s (%s)", file.CurrentContext, restConfig.Host)
	return place{config: restConfig, kubectl: "kubectl", name: name}, nil
}

// newDeploy returns the subcommands deploy and undeploy.
func newDeploy(on *target) []*cobra.Command {
	var manifest string
	var restart bool
	up := &cobra.Command{
		Use: "deploy", Short: "Install what was rendered, and wait until it works", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return deployTo(command.Context(), *on, manifest, restart)
		},
	}
	up.Flags().BoolVar(&restart, "restart", false, "begin pods anew that would stay as they are: the image was replaced under its name")
	down := &cobra.Command{
		Use: "undeploy", Short: "Release what the manager holds, and remove what was installed", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return undeployFrom(command.Context(), *on, manifest)
		},
	}
	for _, command := range []*cobra.Command{up, down} {
		command.Flags().StringVar(&manifest, "manifest", "bin/install.yaml", "the rendered installation")
	}
	return []*cobra.Command{up, down}
}

func deployTo(ctx context.Context, on target, manifest string, restart bool) error {
	found, objects, err := prepare(on, manifest)
	if err != nil {
		return err
	}
	say("Job Handler is installed in " + found.name)
	deployer, err := deploy.New(found.config, os.Stdout)
	if err != nil {
		return err
	}
	if err := deployer.Deploy(ctx, objects, restart); err != nil {
		return err
	}
	fmt.Print("\nOpt a namespace in:\n\n")
	if found.kubeconfig != "" {
		fmt.Printf("  export KUBECONFIG=%s\n", found.kubeconfig)
	}
	fmt.Print("  kubectl label namespace default job-handler/enabled=true\n\nor see what it does:\n\n" +
		"  kubectl apply -k config/samples\n  kubectl get configmaps -A -l job-handler/created=true -w\n")
	return nil
}

func undeployFrom(ctx context.Context, on target, manifest string) error {
	found, objects, err := prepare(on, manifest)
	if err != nil {
		return err
	}
	say("Job Handler is removed from " + found.name + "; results stay")
	deployer, err := deploy.New(found.config, os.Stdout)
	if err != nil {
		return err
	}
	if err := deployer.Undeploy(ctx, objects); err != nil {
		return err
	}
	fmt.Print("\nNothing of Job Handler is left but results:\n\n  kubectl get configmaps -A -l job-handler/created=true\n")
	return nil
}

// prepare finds the cluster and reads the rendered installation.
func prepare(on target, manifest string) (place, []*unstructured.Unstructured, error) {
	found, err := on.open()
	if err != nil {
		return place{}, nil, err
	}
	text, err := os.ReadFile(manifest)
	if err != nil {
		return place{}, nil, fmt.Errorf("reading the installation: %w", err)
	}
	objects, err := config.Decode(text)
	if err != nil {
		return place{}, nil, fmt.Errorf("reading %s: %w", manifest, err)
	}
	return found, objects, nil
}
