// Package faults shows what the webhook's faults and the renewal of its
// certificates do to people who create Jobs, with the manager as a process of
// its own, under its own rights, on a real API server with real Job
// controllers and a real cert-manager. No pod ever runs.
//
// The API server calls the manager through a proxy of the tests, which has the
// faults: there is nothing at the other end, or something that hangs, answers
// nonsense, or is somebody else.
package faults
