package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/localcluster/filelock"
	"github.com/job-handler/job-handler/test/node/leftovers"
	"github.com/job-handler/job-handler/test/node/namespaces"
)

// nodeLock is held by the supervisor of the machine's one node.
const nodeLock = "/run/job-handler-node.lock"

// privateFolders are the machine's folders of which a node's programs see
// their own version, in the data folder: what they write there is neither seen
// by other programs nor left behind.
var privateFolders = []string{
	"/run/containerd", "/run/mount", "/run/netns",
	"/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet",
	"/var/log/containers", "/var/log/pods",
}

// machine is what a node adds to this machine.
type machine struct {
	// wait has it wait while another cluster has the node.
	wait bool
	// network is the pods'.
	network netip.Prefix
}

// supervisor runs the programs of a cluster with a node.
var supervisor = localcluster.Source{Module: "test", Package: "./node/cmd/supervisor"}

// Prepare makes room for the node: after removing what a crashed one left, it makes
// the bridge, the cgroups and the folders to be mounted on.
func (m *machine) Prepare(ctx context.Context, c *localcluster.Cluster) (localcluster.Place, error) {
	if err := ensureHostPrograms(ctx, c.Report); err != nil {
		return localcluster.Place{}, err
	}
	lock, err := m.lock(ctx, c.Report)
	if err != nil {
		return localcluster.Place{}, err
	}
	place, err := m.fill(ctx, c)
	if err != nil {
		_ = lock.Close()
		return place, err
	}
	place.Held = []*os.File{lock}
	return place, nil
}

// lock takes the machine's one node, and waits for it if asked to.
func (m *machine) lock(ctx context.Context, report reporter) (*os.File, error) {
	lock, err := filelock.Try(nodeLock)
	if !errors.Is(err, filelock.ErrLocked) {
		return lock, err
	}
	where := "an unknown folder"
	if record, err := leftovers.Read(); err == nil && record != nil {
		where = record.Dir
	}
	if !m.wait {
		return nil, fmt.Errorf("a cluster with a node runs on this machine already, in %s; there can be only one", where)
	}
	return filelock.Wait(ctx, nodeLock, func() {
		report("waiting for the cluster with a node that runs in %s", where)
	})
}

// fill makes what the node needs, and notes it before in a record.
func (m *machine) fill(ctx context.Context, c *localcluster.Cluster) (localcluster.Place, error) {
	place := localcluster.Place{Supervisor: supervisor, Namespaces: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	removed, err := removeLeftovers(ctx)
	if err != nil {
		return place, err
	}
	if len(removed) > 0 {
		c.Report("removed what a cluster that ended badly had left: %s", strings.Join(removed, ", "))
	}
	if foreign := leftovers.ForeignChains(ctx); len(foreign) > 0 {
		return place, fmt.Errorf("another Kubernetes' kube-proxy works on this machine: there is iptables chain %s", foreign[0])
	}
	if m.network, err = freePodNetwork(); err != nil {
		return place, err
	}
	record := leftovers.Record{
		Dir: c.Dir(), Bridge: bridgeName, Network: networkName, Cgroup: cgroup(c.Folder()),
	}
	record.NoteSettings()
	for _, path := range privateFolders {
		if err := record.MakeFolder(path); err != nil {
			return place, fmt.Errorf("making a folder for the node: %w", err)
		}
	}
	if err := leftovers.MakeCgroup(record.Cgroup); err != nil {
		return place, err
	}
	if err := makeBridge(m.network); err != nil {
		return place, err
	}
	place.Address = m.network.Addr().Next().String()
	config := c.Folder().Config("supervisor.json")
	place.Args = []string{config}
	return place, writeConfig(c.Folder(), config)
}

// Remove removes what the cluster's node left, if it had one.
func (m *machine) Remove(ctx context.Context, c *localcluster.Cluster) ([]string, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	removed := removedBySupervisor(c.Folder())
	record, err := leftovers.Read()
	if err != nil {
		return removed, err
	}
	if ours := record != nil && record.Dir == c.Dir(); !ours && c.Mode() != Mode {
		return removed, nil
	}
	lock, err := filelock.Try(nodeLock)
	if errors.Is(err, filelock.ErrLocked) {
		// By now the machine's node is another cluster's.
		return removed, nil
	}
	if err != nil {
		return removed, err
	}
	defer lock.Close()
	left, err := removeLeftovers(ctx)
	removed = append(removed, left...)
	if err != nil {
		return removed, err
	}
	return removed, os.Remove(nodeLock)
}

// removedBySupervisor returns what the supervisor removed before it ended.
func removedBySupervisor(folder localcluster.Folder) []string {
	report, err := os.ReadFile(removedFile(folder))
	if err != nil {
		return nil
	}
	var removed []string
	for line := range strings.Lines(string(report)) {
		removed = append(removed, strings.TrimSpace(line))
	}
	return removed
}

// removeLeftovers removes what the record of a dead node tells of. The node's
// lock must be held.
func removeLeftovers(ctx context.Context) ([]string, error) {
	record, err := leftovers.Read()
	if err != nil {
		return nil, err
	}
	if record == nil {
		// Without a record, say after it was deleted by hand, the bridge is
		// still known by its name.
		record = &leftovers.Record{Bridge: bridgeName, Network: networkName}
		if exists, err := bridgeExists(); err != nil || !exists {
			return nil, err
		}
	}
	return leftovers.Remove(ctx, *record)
}

// cgroup is the name of the node's group in every hierarchy.
func cgroup(folder localcluster.Folder) string { return filepath.Base(folder.Run()) }

// writeConfig writes the supervisor's configuration, and makes the folders that it
// names.
func writeConfig(folder localcluster.Folder, path string) error {
	config := namespaces.Config{Removed: removedFile(folder)}
	for _, target := range privateFolders {
		source := folder.Path("node", strings.ReplaceAll(strings.TrimPrefix(target, "/"), "/", "-"))
		if err := os.MkdirAll(source, 0o755); err != nil {
			return fmt.Errorf("making a folder for the node: %w", err)
		}
		config.Private = append(config.Private, namespaces.PrivateFolder{Source: source, Target: target})
	}
	if err := config.Write(path); err != nil {
		return fmt.Errorf("writing the supervisor's configuration: %w", err)
	}
	return nil
}

func removedFile(folder localcluster.Folder) string { return filepath.Join(folder.Run(), "removed") }
