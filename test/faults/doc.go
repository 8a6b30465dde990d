// Package faults tests what a broken webhook and the renewal of its certificates do
// to users who create Jobs. The manager runs as a process with its own rights, on a
// real API server with real Job controllers and a real cert-manager. No pod runs.
//
// The API server calls the manager through a proxy of the tests. The proxy injects
// the faults: a missing server, one that hangs, one that answers nonsense, or one
// with another identity.
package faults
