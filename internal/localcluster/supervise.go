package localcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

func (f folder) socket() string { return filepath.Join(f.runFolder(), "supervisor.sock") }

// lock takes the data folder for a new cluster; the supervisor holds the lock
// from then on.
func (f folder) lock() (*os.File, error) {
	if err := os.MkdirAll(f.runFolder(), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for sockets: %w", err)
	}
	file, err := tryLock(filepath.Join(f.runFolder(), "lock"))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("a cluster is running in %s already", f)
	}
	return file, err
}

// buildOwn compiles a command of this module; go's own cache makes that quick.
func buildOwn(ctx context.Context, command, output string) error {
	root, err := repositoryRoot()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", output,
		modulePath+"/internal/localcluster/cmd/"+command)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the %s command: %w\n%s", command, err, text)
	}
	return nil
}

// startSupervisor starts the cluster's supervisor, which holds the files in
// held while it lives, and ends with this process unless it is detached.
func (c *Cluster) startSupervisor(ctx context.Context, config supervisor.Config, held []*os.File) error {
	program := c.folder.path("bin", "supervisor")
	if err := buildOwn(ctx, "supervisor", program); err != nil {
		return err
	}
	if err := config.Write(c.folder.config("supervisor.json")); err != nil {
		return fmt.Errorf("writing the supervisor's configuration: %w", err)
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
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("making the owner's pipe: %w", err)
	}
	reader := os.NewFile(uintptr(pipe[0]), "owner")
	defer reader.Close()
	c.owner = pipe[1]

	cmd := exec.Command(program, c.folder.config("supervisor.json")) //nolint:noctx // It outlives the context.
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.ExtraFiles = append([]*os.File{listener, reader}, held...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if config.Node {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the supervisor: %w", err)
	}
	c.state.Supervisor, err = identify(cmd.Process.Pid)
	go func() { _ = cmd.Wait() }()
	c.client = supervisor.NewClient(c.folder.socket())
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
