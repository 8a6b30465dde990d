// Package policy decides from labels, annotations and flags what the user wants for
// a Job: whether it is handled, which name its results get, how much of its logs is
// read and when it is deleted. It also stamps Jobs with that decision. Webhook and
// manager share these rules, so that a Job that admission missed ends up like any
// other.
//
// The package is pure: no I/O, no clock, and it must not import a client. Invalid
// input never panics; it counts as not set and is returned as a field error.
package policy
