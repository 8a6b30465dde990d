// Command supervisor runs the programs of a local cluster with a node, as the init of
// the node's namespaces. Only package node starts it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
	"github.com/job-handler/job-handler/test/node/leftovers"
	"github.com/job-handler/job-handler/test/node/namespaces"
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
	config, err := namespaces.ReadConfig(args[0])
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	listener, owner, err := supervisor.Inherited()
	if err != nil {
		return err
	}
	if err := namespaces.Enter(config.Private); err != nil {
		return err
	}
	served := supervisor.NewServer(os.Stdout).Serve(listener, owner)
	return errors.Join(served, cleanUp(config))
}

// cleanUp removes what the node made on the machine: whoever started it may
// not be there any more to do so.
func cleanUp(config namespaces.Config) error {
	namespaces.Leave(config.Private)
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
