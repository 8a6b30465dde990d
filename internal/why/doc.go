// Package why decides why a Job failed, or why a pod of it never ran, from the
// states of its pods that the watch reported and the Warning Events of Job and pods.
// It is pure: callers read and pass these in. It must not import a client.
package why
