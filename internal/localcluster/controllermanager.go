package localcluster

import (
	"fmt"
)

// controllerManager has client limits and Job workers that let thousands of
// Jobs through; the defaults are made for a cluster that shares its apiserver.
func (c *Cluster) controllerManager() (component, error) {
	kubeconfig := c.folder.config("kube-controller-manager.kubeconfig")
	if err := c.writeKubeconfig(kubeconfig, controllerManagerIdentity); err != nil {
		return component{}, err
	}
	args := []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", c.port(portControllerManager)),
		"--tls-cert-file=" + c.folder.pki("serving.crt"),
		"--tls-private-key-file=" + c.folder.pki("serving.key"),
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.folder.pki("service-accounts.key"),
		"--root-ca-file=" + c.folder.pki("ca.crt"),
		"--cluster-signing-cert-file=" + c.folder.pki("ca.crt"),
		"--cluster-signing-key-file=" + c.folder.pki("ca.key"),
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
		"--concurrent-job-syncs=20",
	}
	return component{name: ControllerManager, args: args}, nil
}
