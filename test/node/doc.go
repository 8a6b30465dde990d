// Package node runs a local cluster with nodes: this machine, with kubelet, kube-proxy
// and containerd, or nodes that KWOK plays. The programs come from Go modules, as those
// of the control plane do; runc, iptables and busybox come from the machine's
// distribution.
//
//	cluster, err := node.Start(ctx, node.Options{Options: localcluster.Options{Progress: os.Stderr}})
//	if err != nil {
//		return err
//	}
//	defer cluster.Stop(ctx)
//	err = cluster.LoadArchive(ctx, "image.tar")
//
// This machine as a node needs root, and is one once at a time. The command in
// test/localcluster starts a cluster that keeps running, and stops it.
package node
