package localcluster

import (
	"fmt"
	"os"
)

// kubeletConfig keeps a test's waits short, and the kubelet from collecting
// images, of which there is no second copy in a registry, or evicting pods for
// the sake of a disk that is the machine's. There is no DNS server; its address
// is one where a query fails at once, since without any each pod gets a Warning.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]q
port: %[2]d
readOnlyPort: 0
healthzBindAddress: 127.0.0.1
healthzPort: %[3]d
tlsCertFile: %[4]q
tlsPrivateKeyFile: %[5]q
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[6]q}
authorization: {mode: Webhook}
containerRuntimeEndpoint: "unix://%[7]s"
cgroupDriver: cgroupfs
cgroupRoot: "/%[8]s"
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
resolvConf: ""
clusterDomain: cluster.local
clusterDNS: [%[1]q]
volumePluginDir: %[9]q
maxPods: 250
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 50Mi, nodefs.available: "1%%", nodefs.inodesFree: "1%%", imagefs.available: "1%%"}
crashLoopBackOff: {maxContainerRestartPeriod: 1s}
containerLogMonitorInterval: 3s
`

// kubelet writes what the kubelet reads and returns it.
func (c *Cluster) kubelet() (component, error) {
	if err := c.writeServing("kubelet", "kubelet", c.state.Address, NodeName); err != nil {
		return component{}, err
	}
	kubeconfig := c.folder.config("kubelet.kubeconfig")
	if err := c.writeKubeconfig(kubeconfig, nodeIdentity); err != nil {
		return component{}, err
	}
	config := fmt.Appendf(nil, kubeletConfig, c.state.Address, c.port(portKubelet), c.port(portKubeletHealth),
		c.folder.pki("kubelet.crt"), c.folder.pki("kubelet.key"), c.folder.pki("ca.crt"),
		c.containerdSocket(), c.cgroup(), c.folder.path("node", "volume-plugins"))
	path := c.folder.config("kubelet.yaml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return component{}, fmt.Errorf("writing the kubelet's configuration: %w", err)
	}
	args := []string{
		"--config=" + path,
		"--kubeconfig=" + kubeconfig,
		"--hostname-override=" + NodeName,
		"--node-ip=" + c.state.Address,
	}
	return component{name: Kubelet, args: args}, nil
}
