// Package localcluster runs a real Kubernetes cluster on this machine, for the
// demo, tests and benchmarks: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler. On request it adds KWOK's simulated nodes or a real node with
// kubelet, kube-proxy and containerd, and cert-manager. Everything is built from Go
// modules that nested modules pin; runc, iptables and busybox come from the machine's
// distribution.
//
//	cluster, err := localcluster.Start(ctx, localcluster.Options{
//		Mode:              localcluster.ControlPlane,
//		ControllerManager: true,
//		Progress:          os.Stderr,
//	})
//	if err != nil {
//		return err
//	}
//	defer cluster.Stop(ctx)
//	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
//
// Clusters without a real node need no root, and several run side by side. A
// cluster ends with the process that started it, unless that process detached it.
//
// The command in cmd/localcluster starts a cluster that keeps running, and stops
// it. A webhook on this machine gets its certificate from ServingCert.
//
// The package must not import anything of Job Handler.
package localcluster
