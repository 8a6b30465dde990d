// Package audit compares the rights that roles grant with those that were
// used, as the audit log of an API server tells: a right that nobody uses is
// granted for nothing, and a request that RBAC refused is one that fails in
// production. It reads no cluster: logs and roles come in as arguments.
package audit
