package node

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/job-handler/job-handler/internal/localcluster"
)

// containerdConfig is for containerd 2; its folders are among privateFolders.
// Without restrict_oom_score_adj runc fails where CAP_SYS_RESOURCE is missing.
const containerdConfig = `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
imports = []

[grpc]
  address = %[1]q

[ttrpc]
  address = "%[1]s.ttrpc"

[plugins."io.containerd.internal.v1.opt"]
  path = %[2]q

[plugins."io.containerd.nri.v1.nri"]
  disable = true

[plugins."io.containerd.cri.v1.images"]
  snapshotter = %[3]q
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = %[4]q

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  enable_cdi = false
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = %[5]q
        SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [%[6]q]
    conf_dir = %[7]q
`

// cniConfig connects pods to the bridge; hairpin mode lets a pod reach itself
// through a Service.
const cniConfig = `{
  "cniVersion": "1.0.0",
  "name": %q,
  "plugins": [{
    "type": "bridge",
    "bridge": %q,
    "isGateway": true,
    "ipMasq": true,
    "ipMasqBackend": "iptables",
    "hairpinMode": true,
    "ipam": {
      "type": "host-local",
      "ranges": [[{"subnet": %q}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`

// containerd writes what containerd and the CNI plugins read and returns it.
func (c *Cluster) containerd(network netip.Prefix) (localcluster.Component, error) {
	runc, err := findProgram("runc")
	if err != nil {
		return localcluster.Component{}, err
	}
	cni, opt := c.Folder().Path("node", "cni"), c.Folder().Path("node", "opt")
	for _, dir := range []string{cni, opt} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return localcluster.Component{}, fmt.Errorf("making a folder for containerd: %w", err)
		}
	}
	config := fmt.Appendf(nil, containerdConfig, c.socket(), opt, c.snapshotter(), pauseImage,
		runc, filepath.Dir(c.Program("bridge")), cni)
	if err := os.WriteFile(c.Folder().Config("containerd.toml"), config, 0o600); err != nil {
		return localcluster.Component{}, fmt.Errorf("writing containerd's configuration: %w", err)
	}
	list := fmt.Appendf(nil, cniConfig, networkName, bridgeName, network.String())
	if err := os.WriteFile(cni+"/10-job-handler.conflist", list, 0o600); err != nil {
		return localcluster.Component{}, fmt.Errorf("writing the CNI configuration: %w", err)
	}
	return localcluster.Component{
		Name: localcluster.Containerd,
		Args: []string{"--config=" + c.Folder().Config("containerd.toml")},
		// Containerd looks for its shim there.
		Path:   filepath.Dir(c.Program("containerd-shim-runc-v2")),
		Health: "unix://" + c.socket(),
	}, nil
}

// socket is where containerd listens.
func (c *Cluster) socket() string { return filepath.Join(c.Folder().Run(), "containerd.sock") }

// snapshotter returns overlayfs, except where the data folder is on an overlay
// itself, as in a container: overlays do not stack.
func (c *Cluster) snapshotter() string {
	var fs unix.Statfs_t
	if err := unix.Statfs(c.Dir(), &fs); err == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}
