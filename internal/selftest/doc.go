// Package selftest checks whether Jobs are stamped when they are created. With
// failurePolicy Ignore the API server silently skips a webhook that it cannot reach.
// So the manager creates a Job itself, in a dry run, and looks at the answer. Any
// replica's webhook may answer: the result is about the cluster, and each replica
// asks for itself.
//
// Package webhooks decides how to answer such a Job, and must not be imported. This
// package decides nothing about other Jobs.
package selftest
