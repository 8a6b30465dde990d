// Package supervisor runs the programs of one local cluster below a single process,
// so that ending that process ends all of them. On a node it is the init of a PID
// namespace, and the kernel ends the rest; elsewhere the kernel signals each child
// when its parent dies. Over a unix socket it starts, signals and reaps programs. It
// decides nothing about Kubernetes, and must not import the packages that use it.
package supervisor

import (
	"fmt"
	"syscall"
)

// Process is a program to run.
type Process struct {
	// Name identifies the program in later calls; one program runs under a
	// name at a time.
	Name string `json:"name"`
	// Args holds the absolute path of the program and its arguments.
	Args []string `json:"args"`
	// Env is the whole environment.
	Env []string `json:"env"`
	// Log is the file that output is appended to.
	Log string `json:"log"`
	// Restart has the program started again when it ends by itself, as a
	// service manager or the kubelet would.
	Restart bool `json:"restart,omitempty"`
}

// Status is what is known of a process.
type Status struct {
	Name string `json:"name"`
	// PID is its process, or was, in the supervisor's PID namespace.
	PID     int    `json:"pid"`
	Log     string `json:"log"`
	Running bool   `json:"running"`
	// Exit says how the program ended, and is empty while it runs.
	Exit string `json:"exit,omitempty"`
	// Success is true if the program ended with exit code 0.
	Success bool `json:"success,omitempty"`
}

// signalRequest asks for a signal to a process.
type signalRequest struct {
	Name   string         `json:"name"`
	Signal syscall.Signal `json:"signal"`
	// Final has the process stay ended once it has ended.
	Final bool `json:"final,omitempty"`
}

// The paths of the socket's HTTP interface.
const (
	pathProcesses = "/processes"
	pathAgain     = "/again"
	pathSignal    = "/signal"
	pathWait      = "/wait"
	pathDetach    = "/detach"
	pathShutdown  = "/shutdown"
)

func describeExit(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("ended by signal %d (%s)", status.Signal(), status.Signal())
	}
	return fmt.Sprintf("ended with exit code %d", status.ExitStatus())
}
