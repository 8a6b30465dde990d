// Package api declares every key, value and name by which Job Handler speaks
// with the people who use it: labels, annotations, the finalizer, the keys of
// a results object and the reason of its Events. It holds constants only, each
// with where it sits, who writes it, what it may hold and whether it can
// change. Nothing outside this package spells a key out.
package api

// Prefix starts every label, annotation and finalizer of Job Handler.
const Prefix = "job-handler/"

// Booleans are exactly these two words, in labels and annotations alike.
const (
	True  = "true"
	False = "false"
)
