// Package oracle tests that the final state is the same whatever happens on the way.
// It runs the controllers of Jobs and Namespaces under the manager's own account and
// policies, on a real API server with the real controllers of Kubernetes. It injects
// faults at exact places, and compares the final state with that of a run without
// faults: one whole results object for each finished run, its log to the byte, the
// Job deleted or kept as it should be, one Event with the outcome, and no more
// writes.
//
// Faults are injected into the transport between the manager and the API server
// (link), so that no client avoids them: a request or its answer is lost, the
// process dies before or after it, it is answered otherwise, or held until something
// else has happened. A crash is a transport that stays dead, and a new manager. A
// kubelet of the tests plays the containers: it serves logs as a kubelet does and
// knows what each container wrote.
package oracle
