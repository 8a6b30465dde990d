// Package webhooks answers the API server's admission requests: it stamps and
// validates Jobs when they are created, keeps their TTL above the floor when it is
// changed, and validates CronJobs when they are applied. The rules are those of internal/policy, which the manager applies
// again to what admission missed, so no answer of this package is vital.
//
// It stays out of the way. An object that it cannot read, a Namespace that it
// cannot get and a panic lead to admission without change and a warning: to
// the API server a refusal with any code is a refusal, and failurePolicy
// Ignore does not apply to it. Only an invalid value that a person can correct
// on the spot is refused.
//
// The handlers have no side effects, so dry runs need no care; one of them is
// the manager's self-test. The package imports no controller.
package webhooks
