// Package retain decides which of the objects that Job Handler made are to go:
// results that have expired, results of a CronJob beyond the number to keep, and
// parts that no results list. It knows objects by their metadata, which does not
// tell everything: whether an object is immutable, what it lists and what its Job
// is doing is looked at before it is deleted, by who deletes it. It is pure and
// imports no client.
package retain
