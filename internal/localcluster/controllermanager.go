package localcluster

import (
	"fmt"
)

// controllerManager has client limits and Job workers that let thousands of
// Jobs through; the defaults are made for a cluster that shares its apiserver.
func (c *Cluster) controllerManager() (Component, error) {
	kubeconfig := c.folder.Config("kube-controller-manager.kubeconfig")
	if err := c.credentials.writeKubeconfig(kubeconfig, controllerManagerIdentity); err != nil {
		return Component{}, err
	}
	args := []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", c.port(portControllerManager)),
		"--tls-cert-file=" + c.folder.PKI("serving.crt"),
		"--tls-private-key-file=" + c.folder.PKI("serving.key"),
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.folder.PKI("service-accounts.key"),
		"--root-ca-file=" + c.folder.PKI("ca.crt"),
		"--cluster-signing-cert-file=" + c.folder.PKI("ca.crt"),
		"--cluster-signing-key-file=" + c.folder.PKI("ca.key"),
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
		"--concurrent-job-syncs=20",
	}
	return Component{Name: ControllerManager, Args: args, Health: "https://" + hostPort(loopback, c.port(portControllerManager)) + "/healthz"}, nil
}
