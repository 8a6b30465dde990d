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

func (c *Cluster) scheduler() (component, error) {
	kubeconfig := c.folder.config("kube-scheduler.kubeconfig")
	if err := c.writeKubeconfig(kubeconfig, schedulerIdentity); err != nil {
		return component{}, err
	}
	config := c.folder.config("kube-scheduler.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, schedulerConfig, kubeconfig), 0o600); err != nil {
		return component{}, fmt.Errorf("writing the scheduler's configuration: %w", err)
	}
	args := []string{
		"--config=" + config,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", c.port(portScheduler)),
		"--tls-cert-file=" + c.folder.pki("serving.crt"),
		"--tls-private-key-file=" + c.folder.pki("serving.key"),
	}
	return component{name: Scheduler, args: args}, nil
}
