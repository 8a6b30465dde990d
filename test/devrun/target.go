package main

import (
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/test/node"
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

func (t target) local() (*node.Cluster, error) {
	cluster, err := node.Open(t.dir)
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
