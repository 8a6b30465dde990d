package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

// stopTimeout bounds the time that ending a cluster takes; graceful is what its
// supervisor gets of that to end by itself.
const (
	stopTimeout = 4 * time.Minute
	graceful    = 150 * time.Second
)

// Stop ends every program of the cluster, removes everything that it made on
// the machine and returns when that is done. Of the data folder it leaves the
// logs, of a temporary one nothing. It may be called again. When ctx ends, the
// programs are killed, and the rest is still done.
func (c *Cluster) Stop(ctx context.Context) error {
	_, err := c.remove(ctx)
	return err
}

// Orphan ends the cluster as the end of this process would, and returns when its
// programs are gone.
func (c *Cluster) Orphan(ctx context.Context) error {
	c.disown()
	return c.state.Supervisor.waitForEnd(ctx)
}

// Crash kills every program of the cluster, as a crash would, and leaves the rest.
func (c *Cluster) Crash(ctx context.Context) error {
	c.state.Supervisor.kill()
	return c.state.Supervisor.waitForEnd(ctx)
}

// Down ends the cluster in a data folder, whoever started it and in whatever
// state it is, and removes everything that it made on the machine, also if its
// processes were killed before. It returns a phrase for each thing that it
// removed, none if there was nothing to do. Machine is that of its nodes, or of nodes
// that it may have had; nil if it had none that need one.
func Down(ctx context.Context, dir string, machine Machine) ([]string, error) {
	f, err := newFolder(dir)
	if err != nil {
		return nil, err
	}
	if err := f.belongsToRoot(); err != nil {
		return nil, err
	}
	s, err := f.readState()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	c := &Cluster{folder: f, state: s, machine: machine, owner: -1}
	if s.Supervisor.alive() {
		c.processes.client = supervisor.NewClient(f.socket())
	}
	return c.remove(ctx)
}

func (c *Cluster) remove(ctx context.Context) ([]string, error) {
	patient, cancel := context.WithTimeout(ctx, graceful)
	defer cancel()
	ctx, cancelAll := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancelAll()
	var removed []string
	if c.state.Supervisor.alive() {
		removed = append(removed, "programs "+strings.Join(append(c.componentNames(), "supervisor"), ", "))
	}
	if err := c.endSupervisor(ctx, patient); err != nil {
		return nil, fmt.Errorf("stopping the cluster in %s: %w", c.folder, err)
	}
	if c.machine != nil {
		fromMachine, err := c.machine.Remove(ctx, c)
		removed = append(removed, fromMachine...)
		if err != nil {
			return removed, err
		}
	}
	files, err := c.removeFiles()
	return append(removed, files...), err
}

// endSupervisor asks the supervisor to end, kills it if it does not before
// patient ends, and returns when it and its programs are gone.
func (c *Cluster) endSupervisor(ctx, patient context.Context) error {
	if c.processes.client != nil {
		// A supervisor that hangs takes the request and never answers it.
		request, cancel := context.WithTimeout(patient, probeTimeout)
		defer cancel()
		if err := c.processes.client.Shutdown(request); err == nil {
			_ = c.state.Supervisor.waitForEnd(patient)
		}
		c.processes.client.Close()
	}
	c.disown()
	c.state.Supervisor.kill()
	return c.state.Supervisor.waitForEnd(ctx)
}

func (c *Cluster) componentNames() []string {
	names := make([]string, 0, len(c.state.Components))
	for _, part := range c.state.Components {
		names = append(names, part.Name)
	}
	return names
}

// removeFiles removes the cluster's files.
func (c *Cluster) removeFiles() ([]string, error) {
	var removed []string
	run := c.folder.Run()
	if isFolder(run) {
		removed = append(removed, "folder "+run)
	}
	if err := os.RemoveAll(run); err != nil {
		return nil, fmt.Errorf("removing the folder of sockets: %w", err)
	}
	if c.temporary {
		return removed, os.RemoveAll(string(c.folder))
	}
	if _, err := os.Stat(c.folder.kubeconfig()); err == nil {
		removed = append(removed, "the data in "+string(c.folder))
	}
	return removed, c.folder.clear(filepath.Base(c.folder.logs()))
}
