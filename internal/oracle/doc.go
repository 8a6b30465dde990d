// Package oracle shows that the end is the same whatever happens on the way.
// It runs the manager's controllers of Jobs and Namespaces under its own account,
// and the policies that narrow it, on a real API server with the real controllers
// of Kubernetes, lets faults happen at exact places of its work, and compares what
// is left in the end with what a run without faults leaves: one whole results
// object of each run that finished, its log to the byte, the Job gone or kept as it
// should be, one Event that tells the outcome, and then no more writes.
//
// Faults are in the transport between the manager and the API server (link), so
// that no client gets around them: a request or its answer is lost, the process
// dies before or after it, it is answered otherwise, or held until something else
// has happened. A crash is a transport that is dead from then on, and a new
// manager. Containers are played by a kubelet of the tests, which serves logs as
// a kubelet does and knows what each container wrote.
package oracle
