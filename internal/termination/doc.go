// Package termination reads the results that a container reports about its own
// work in its termination message. It is pure, decides nothing about where they
// are kept, and must not import client packages.
package termination
