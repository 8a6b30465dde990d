// Package metrics declares every metric of Job Handler, each with the values
// of its labels, and is the only one that imports a metrics library. It decides
// nothing: others say what is the case.
package metrics
