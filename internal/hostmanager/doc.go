// Package hostmanager runs the manager's program on this machine, against a cluster
// whose API server runs here too: for `make run`, the demo and tests. The manager
// has the rights of its ServiceAccount, as config/rbac grants and config/policy
// narrows them. The webhook configurations of config/webhook point at it.
package hostmanager
