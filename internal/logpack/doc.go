// Package logpack keeps logs compressed in memory, within limits that all logs of a
// Job share. Each log is kept whole while all of them fit. Otherwise the largest
// logs lose their middle, a piece at a time, with exact counts of what was removed.
// A log is compressed once, while it is read, in pieces that are gzip files of their
// own; put one after the other they are a gzip file too. The package is pure: it
// reads and stores nothing, and must not import a client.
package logpack
