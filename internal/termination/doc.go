// Package termination parses the results that a container reports in its termination
// message. It is pure, does not decide where they are kept, and must not import
// anything of Job Handler.
package termination
