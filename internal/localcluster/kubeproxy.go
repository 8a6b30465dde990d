package localcluster

import (
	"fmt"
	"os"
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
func (c *Cluster) proxy() (component, error) {
	kubeconfig := c.folder.config("kube-proxy.kubeconfig")
	if err := c.writeKubeconfig(kubeconfig, proxyIdentity); err != nil {
		return component{}, err
	}
	config := fmt.Appendf(nil, proxyConfig, NodeName, kubeconfig, c.state.Address,
		c.port(portProxyHealth), c.port(portProxyMetrics))
	path := c.folder.config("kube-proxy.yaml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return component{}, fmt.Errorf("writing kube-proxy's configuration: %w", err)
	}
	return component{name: Proxy, args: []string{"--config=" + path}}, nil
}
