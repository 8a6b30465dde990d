// Package results decides what a run leaves behind. It builds the immutable object
// that holds a Job's outcome, container states and logs, within the limits of the
// API server, and checks whether an existing object is one of these, whole, and of
// this run. It is pure: no clock, no I/O, and it must not import a client. Callers
// name the objects (package names).
package results
