// Package logpack keeps logs compressed in memory, within bounds that all logs
// of a Job share: each whole while all of them fit, else the largest ones lose
// their middle, a piece at a time, with exact counts of what is gone. A log is
// compressed once, as it is read, in pieces that are gzip files of their own:
// put one after the other they are a gzip file too. It is pure: it reads and
// stores nothing.
package logpack
