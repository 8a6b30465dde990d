// Package retain decides which objects of Job Handler to delete: expired results,
// results of a CronJob beyond the number to keep, parts that no results list, and
// captures of Jobs whose results are stored. It decides by metadata, which does not
// tell everything. Before it deletes one, its caller checks whether the object is
// immutable, what it lists and what its Job is doing. It is pure and must not import
// a client.
package retain
