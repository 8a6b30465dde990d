// Package selftest finds out whether Jobs are stamped when they are created.
// With failurePolicy Ignore a webhook that the API server cannot reach is left
// out in silence; so the manager creates a Job itself, in a dry run, and looks
// at what comes back. Which replica's webhook answered does not matter: the
// answer is about the cluster, and each replica asks for itself.
//
// What the webhook does with such a Job is decided in package webhooks, which
// is not imported; nor does this package decide about anybody else's Job.
package selftest
