// Package results decides what a run leaves behind: it builds the immutable
// object that holds a Job's outcome, container states and logs, within the API
// server's limits, and tells whether an object that exists is such a one,
// whole, of this very run. It is pure: no clock, no I/O, and no client package
// is imported. Names of objects are the caller's (package names).
package results
