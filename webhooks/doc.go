// Package webhooks answers the API server's admission requests: it stamps and
// validates Jobs when they are created, keeps their TTL above the floor when it
// changes, and validates CronJobs when they are applied. It uses the rules of
// internal/policy. The manager applies the same rules to Jobs that admission missed,
// so no answer of this package is vital.
//
// It never blocks by accident. An object that it cannot read, a Namespace that it
// cannot get and a panic lead to admission without change and a warning: to the API
// server a refusal with any code is a refusal, and failurePolicy Ignore does not
// apply to it. Only an invalid value that a user can correct on the spot is refused.
//
// The handlers have no side effects, so dry runs need no care; one of them is the
// manager's self-test. Of Job Handler the package must not import anything but
// internal/api and policy.
package webhooks
