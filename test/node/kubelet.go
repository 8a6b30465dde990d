package node

import (
	"fmt"
	"os"

	"github.com/job-handler/job-handler/internal/localcluster"
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
func (c *Cluster) kubelet() (localcluster.Component, error) {
	if err := c.WriteServing("kubelet", "kubelet", c.Address(), Name); err != nil {
		return localcluster.Component{}, err
	}
	kubeconfig := c.Folder().Config("kubelet.kubeconfig")
	if err := c.WriteKubeconfig(kubeconfig, "system:node:"+Name, "system:nodes"); err != nil {
		return localcluster.Component{}, err
	}
	config := fmt.Appendf(nil, kubeletConfig, c.Address(), c.NodePort(portKubelet), c.NodePort(portKubeletHealth),
		c.Folder().PKI("kubelet.crt"), c.Folder().PKI("kubelet.key"), c.Folder().PKI("ca.crt"),
		c.socket(), cgroup(c.Folder()), c.Folder().Path("node", "volume-plugins"))
	path := c.Folder().Config("kubelet.yaml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return localcluster.Component{}, fmt.Errorf("writing the kubelet's configuration: %w", err)
	}
	args := []string{
		"--config=" + path,
		"--kubeconfig=" + kubeconfig,
		"--hostname-override=" + Name,
		"--node-ip=" + c.Address(),
	}
	health := fmt.Sprintf("http://%s:%d/healthz", loopback, c.NodePort(portKubeletHealth))
	return localcluster.Component{Name: localcluster.Kubelet, Args: args, Health: health}, nil
}
