// Package resultsview reads results objects back, for people and for tests:
// whether one is whole, what it tells of its run, and the log of every
// container, to the byte. It knows how results are stored, so that those who
// read them need not; it prints nothing, and must not import client packages.
// Package results makes what is read here.
package resultsview
