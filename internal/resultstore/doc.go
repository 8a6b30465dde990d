// Package resultstore keeps results in the cluster. A Store reads, creates and
// deletes one object at a time and keeps count of what they take. A Writer stores
// the results of a Job: it tries sizes and names, stores parts first, and checks what
// the API server made of them. What the objects hold is decided by package results.
// It imports no controller: warnings go to the caller.
package resultstore
