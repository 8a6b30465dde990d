// Command supervisor runs the programs of one local cluster. Only package
// localcluster starts it.
package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

func main() {
	// The thread that forks the programs has to live as long as this one.
	runtime.LockOSThread()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "supervisor:", err)
		os.Exit(1)
	}
}

func run() error {
	listener, owner, err := supervisor.Inherited()
	if err != nil {
		return err
	}
	return supervisor.NewServer(os.Stdout).Serve(listener, owner)
}
