// Package ledger remembers what this process knows of the Jobs that it handles: one
// entry for each Job, by its UID. Nothing in it has to be right for results to be safe.
// It saves requests, bounds retries and fights with other writers, and is empty after a
// restart.
//
// An entry begins when the watch shows that the Job has finished, or when the Job is
// handled first. It ends with Forget, when the Job is gone, stored, or left alone. What
// has to outlive that is remembered by name, within bounds: Jobs that left the watch
// without results, Jobs that this process deleted, and Jobs that other clients create
// again.
//
// It calls no API and imports no client package.
package ledger
