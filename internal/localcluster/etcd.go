package localcluster

import (
	"fmt"
)

// etcd serves without authentication, on the loopback address only.
func (c *Cluster) etcd(sync bool) Component {
	url := c.etcdURL()
	peer := "http://" + hostPort(loopback, c.port(portEtcdPeer))
	args := []string{
		"--name=local",
		"--data-dir=" + c.folder.Path("etcd"),
		"--listen-client-urls=" + url,
		"--advertise-client-urls=" + url,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=local=" + peer,
		// The default of 2 GiB is in reach of a benchmark.
		fmt.Sprintf("--quota-backend-bytes=%d", 8<<30),
	}
	if !sync {
		args = append(args, "--unsafe-no-fsync")
	}
	return Component{Name: Etcd, Args: args, Health: url + "/readyz"}
}

// EtcdURL is where etcd serves its clients.
func (c *Cluster) EtcdURL() string { return c.etcdURL() }

func (c *Cluster) etcdURL() string { return "http://" + hostPort(loopback, c.port(portEtcd)) }
