package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/job-handler/job-handler/internal/localcluster/leftovers"
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

// Down ends the cluster in a data folder, whoever started it and in whatever
// state it is, and removes everything that it made on the machine, also if its
// processes were killed before. It returns a phrase for each thing that it
// removed, none if there was nothing to do.
func Down(ctx context.Context, dir string) ([]string, error) {
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
	c := &Cluster{folder: f, state: s, owner: -1}
	if s.Supervisor.alive() {
		c.client = supervisor.NewClient(f.socket())
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
		removed = append(removed, "programs "+strings.Join(append(c.state.Components, "supervisor"), ", "))
	}
	if err := c.endSupervisor(ctx, patient); err != nil {
		return nil, fmt.Errorf("stopping the cluster in %s: %w", c.folder, err)
	}
	// What the supervisor removed by itself before it ended.
	if report, err := os.ReadFile(c.folder.removed()); err == nil {
		for line := range strings.Lines(string(report)) {
			removed = append(removed, strings.TrimSpace(line))
		}
	}
	fromMachine, err := c.removeFromMachine(ctx)
	removed = append(removed, fromMachine...)
	if err != nil {
		return removed, err
	}
	files, err := c.removeFiles()
	return append(removed, files...), err
}

// endSupervisor asks the supervisor to end, kills it if it does not before
// patient ends, and returns when it and its programs are gone.
func (c *Cluster) endSupervisor(ctx, patient context.Context) error {
	if c.client != nil {
		// A supervisor that hangs takes the request and never answers it.
		request, cancel := context.WithTimeout(patient, probeTimeout)
		defer cancel()
		if err := c.client.Shutdown(request); err == nil {
			_ = c.state.Supervisor.waitForEnd(patient)
		}
		c.client.Close()
	}
	c.disown()
	c.state.Supervisor.kill()
	return c.state.Supervisor.waitForEnd(ctx)
}

// removeFromMachine removes what the folder's node left, if it had one.
func (c *Cluster) removeFromMachine(ctx context.Context) ([]string, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	record, err := leftovers.Read()
	if err != nil {
		return nil, err
	}
	if ours := record != nil && record.Dir == string(c.folder); !ours && c.state.Mode != WithNode {
		return nil, nil
	}
	lock, err := tryLock(nodeLock)
	if errors.Is(err, errLocked) {
		// By now the machine's node is another cluster's.
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	removed, err := removeLeftovers(ctx)
	if err != nil {
		return removed, err
	}
	return removed, os.Remove(nodeLock)
}

// removeFiles removes the cluster's files.
func (c *Cluster) removeFiles() ([]string, error) {
	var removed []string
	run := c.folder.runFolder()
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
