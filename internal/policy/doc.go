// Package policy reads from labels and annotations what a user wants for a
// Job: whether it is handled at all, under which name its results are stored,
// how much of its logs is read and when it is deleted. It also stamps Jobs
// with that decision. The webhook and the manager share these rules, so that a
// Job which admission missed ends up like any other.
//
// Everything here is pure: no I/O, no clock, no client. Invalid input never
// panics; it counts as not set and is reported as a field error.
package policy
