// Package api declares every key, value and name that users see: labels,
// annotations, the finalizer, the keys of a results object and the reason of its
// Events. It holds constants only. Each comment says where the constant sits, who
// writes it, which values it has and whether it can change. Other packages never
// spell a key out. The package must not import anything of Job Handler.
package api

// Prefix starts every label, annotation and finalizer of Job Handler.
const Prefix = "job-handler/"

// Booleans are exactly these two words, in labels and annotations alike.
const (
	True  = "true"
	False = "false"
)
