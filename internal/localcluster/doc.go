// Package localcluster runs the control plane of a real Kubernetes cluster on this
// machine, for tests, benchmarks and the demo: etcd, kube-apiserver and, on request,
// kube-controller-manager, kube-scheduler and cert-manager. Package test/node adds
// nodes. Everything is built from Go modules that nested modules pin.
//
//	cluster, err := localcluster.Start(ctx, localcluster.Options{
//		ControllerManager: true,
//		Progress:          os.Stderr,
//	})
//	if err != nil {
//		return err
//	}
//	defer cluster.Stop(ctx)
//	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
//
// Several clusters run side by side. A cluster ends with the process that started it,
// unless that process detached it. A webhook on this machine gets its certificate from
// ServingCert.
//
// The package must not import anything of Job Handler.
package localcluster
