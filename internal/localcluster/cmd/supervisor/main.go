// Command supervisor runs the programs of one local cluster. Only package
// localcluster starts it.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/job-handler/job-handler/internal/localcluster/leftovers"
	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

func main() {
	// The thread that forks the programs has to live as long as this one.
	runtime.LockOSThread()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "supervisor:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("the path of a configuration is the only argument, got %d", len(args))
	}
	config, err := supervisor.ReadConfig(args[0])
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	listener, owner, err := inherited()
	if err != nil {
		return err
	}
	if !config.Node {
		return supervisor.NewServer(os.Stdout).Serve(listener, owner)
	}
	if err := supervisor.EnterNode(config.Private); err != nil {
		return err
	}
	served := supervisor.NewServer(os.Stdout).Serve(listener, owner)
	return errors.Join(served, cleanUp(config))
}

// cleanUp removes what the node made on the machine: whoever started it may
// not be there any more to do so.
func cleanUp(config supervisor.Config) error {
	supervisor.LeaveNode(config.Private)
	record, err := leftovers.Read()
	if err != nil || record == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanUpTimeout)
	defer cancel()
	removed, err := leftovers.Remove(ctx, *record)
	text := strings.Join(append(removed, ""), "\n")
	return errors.Join(err, os.WriteFile(config.Removed, []byte(text), 0o600))
}

const cleanUpTimeout = 2 * time.Minute

// inherited takes over the files that came with the start. None of them may
// reach the programs: a lock would outlive the supervisor.
func inherited() (net.Listener, *os.File, error) {
	for fd := supervisor.ListenerFD; fd < supervisor.HeldFD+8; fd++ {
		syscall.CloseOnExec(fd)
	}
	file := os.NewFile(supervisor.ListenerFD, "listener")
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, nil, fmt.Errorf("taking over the socket: %w", err)
	}
	_ = file.Close()
	return listener, os.NewFile(supervisor.OwnerFD, "owner"), nil
}
