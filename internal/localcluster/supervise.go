package localcluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/job-handler/job-handler/internal/localcluster/filelock"
	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

func (f Folder) socket() string { return filepath.Join(f.Run(), "supervisor.sock") }

// lock takes the data folder for a new cluster; the supervisor holds the lock
// from then on.
func (f Folder) lock() (*os.File, error) {
	if err := os.MkdirAll(f.Run(), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for sockets: %w", err)
	}
	file, err := filelock.Try(filepath.Join(f.Run(), "lock"))
	if errors.Is(err, filelock.ErrLocked) {
		return nil, fmt.Errorf("a cluster is running in %s already", f)
	}
	return file, err
}

// ownSupervisor runs the programs of a cluster whose nodes bring no supervisor.
var ownSupervisor = Source{Package: "./internal/localcluster/cmd/supervisor"}

// startSupervisor starts the cluster's supervisor, which holds the files in
// held while it lives, and ends with this process unless it is detached.
func (c *Cluster) startSupervisor(ctx context.Context, place Place, held []*os.File) error {
	program := c.folder.Path("bin", "supervisor")
	if err := Compile(ctx, cmp.Or(place.Supervisor, ownSupervisor), program); err != nil {
		return err
	}
	listener, err := listen(c.folder.socket())
	if err != nil {
		return err
	}
	defer listener.Close()
	log, err := os.OpenFile(c.folder.log("supervisor"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		return fmt.Errorf("making the owner's pipe: %w", err)
	}
	reader := os.NewFile(uintptr(pipe[0]), "owner")
	defer reader.Close()
	c.owner = pipe[1]

	cmd := exec.Command(program, place.Args...) //nolint:noctx // It outlives the context.
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.ExtraFiles = append([]*os.File{listener, reader}, held...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: place.Namespaces}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the supervisor: %w", err)
	}
	c.state.Supervisor, err = identify(cmd.Process.Pid)
	go func() { _ = cmd.Wait() }()
	c.processes.client = supervisor.NewClient(c.folder.socket())
	return err
}

// listen makes a unix socket that its next holder, the supervisor, accepts on.
func listen(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing an old socket: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening for the supervisor: %w", err)
	}
	defer listener.Close()
	listener.SetUnlinkOnClose(false)
	return listener.File()
}
