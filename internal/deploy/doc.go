// Package deploy puts a rendered installation of Job Handler into a cluster and
// waits until it works, and takes it away again: `make deploy`, `make undeploy`,
// and tests. It must not import controllers or webhooks: it knows the
// installation by its objects alone.
package deploy
