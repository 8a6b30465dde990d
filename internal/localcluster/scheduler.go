package localcluster

import (
	"fmt"
	"os"
)

const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: %q
  qps: 1000
  burst: 2000
leaderElection:
  leaderElect: false
`

func (c *Cluster) scheduler() (Component, error) {
	kubeconfig := c.folder.Config("kube-scheduler.kubeconfig")
	if err := c.credentials.writeKubeconfig(kubeconfig, schedulerIdentity); err != nil {
		return Component{}, err
	}
	config := c.folder.Config("kube-scheduler.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, schedulerConfig, kubeconfig), 0o600); err != nil {
		return Component{}, fmt.Errorf("writing the scheduler's configuration: %w", err)
	}
	args := []string{
		"--config=" + config,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", c.port(portScheduler)),
		"--tls-cert-file=" + c.folder.PKI("serving.crt"),
		"--tls-private-key-file=" + c.folder.PKI("serving.key"),
	}
	return Component{Name: Scheduler, Args: args, Health: "https://" + hostPort(loopback, c.port(portScheduler)) + "/healthz"}, nil
}
