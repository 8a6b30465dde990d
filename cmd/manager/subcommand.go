package main

import (
	"fmt"

	"github.com/go-logr/logr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/pager"
)

// subcommandClient returns the client of a subcommand. A subcommand prints its own
// output; log lines of the libraries would only mix with it.
func subcommandClient(kubeconfig string) (client.Client, error) {
	ctrl.SetLogger(logr.Discard())
	config, err := restConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	config.Wrap(pager.Transport)
	kube, err := client.New(config, client.Options{Scheme: clientgoscheme.Scheme, FieldOwner: api.ManagerName})
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return kube, nil
}
