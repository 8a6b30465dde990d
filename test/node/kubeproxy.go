package node

import (
	"fmt"
	"os"

	"github.com/job-handler/job-handler/internal/localcluster"
)

// proxyConfig leaves connection tracking as the machine has it. Masquerading
// everything brings answers between two pods on the bridge back by the way
// they came, also where the kernel does not show bridged packets to iptables.
const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: %[1]q
clientConnection: {kubeconfig: %[2]q}
bindAddress: %[3]q
healthzBindAddress: 127.0.0.1:%[4]d
metricsBindAddress: 127.0.0.1:%[5]d
nodePortAddresses: [primary]
iptables: {masqueradeAll: true, localhostNodePorts: false}
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`

// proxy writes what kube-proxy reads and returns it.
func (c *Cluster) proxy() (localcluster.Component, error) {
	kubeconfig := c.Folder().Config("kube-proxy.kubeconfig")
	if err := c.WriteKubeconfig(kubeconfig, "system:kube-proxy"); err != nil {
		return localcluster.Component{}, err
	}
	config := fmt.Appendf(nil, proxyConfig, Name, kubeconfig, c.Address(),
		c.NodePort(portProxyHealth), c.NodePort(portProxyMetrics))
	path := c.Folder().Config("kube-proxy.yaml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return localcluster.Component{}, fmt.Errorf("writing kube-proxy's configuration: %w", err)
	}
	return localcluster.Component{
		Name: localcluster.Proxy, Args: []string{"--config=" + path},
		Health: fmt.Sprintf("http://%s:%d/healthz", loopback, c.NodePort(portProxyHealth)),
	}, nil
}
