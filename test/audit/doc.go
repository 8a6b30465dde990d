// Package audit compares the rights that roles grant with those that were used, as
// the audit log of an API server tells. An unused right is granted for nothing; a
// request that RBAC refused fails in production. The package reads no cluster: logs
// and roles are arguments.
package audit
