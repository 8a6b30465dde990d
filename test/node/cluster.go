package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/job-handler/job-handler/internal/localcluster"
)

// Mode is that of a cluster with this machine as its one node.
const Mode localcluster.Mode = "node"

// Name is the name of the node.
const Name = "local"

// Options describe a cluster with this machine as its node.
type Options struct {
	localcluster.Options

	// Wait has a start wait while another cluster has the machine's one node; else
	// that is an error.
	Wait bool
}

// Cluster is a cluster with a node that runs containers.
type Cluster struct {
	*localcluster.Cluster
}

// Start starts a cluster as localcluster.Start does, with this machine as its node.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("a cluster with a node needs root: containers need namespaces, mounts and a bridge")
	}
	m := &machine{wait: o.Wait}
	o.Nodes = &localcluster.Nodes{
		Mode: Mode, Programs: localcluster.NodePrograms, Machine: m,
		Start: func(ctx context.Context, control *localcluster.Cluster) error {
			return (&Cluster{control}).startNode(ctx, m)
		},
	}
	control, err := localcluster.Start(ctx, o.Options)
	if err != nil {
		return nil, err
	}
	return &Cluster{control}, nil
}

// Open returns the cluster that runs in the data folder, with or without nodes, as it
// was left by a start with Detach. It wraps localcluster.ErrNotRunning if there is none.
func Open(dir string) (*Cluster, error) {
	control, err := localcluster.Open(dir, &machine{})
	if err != nil {
		return nil, err
	}
	return &Cluster{control}, nil
}

// Down ends the cluster in a data folder as localcluster.Down does, whatever nodes it
// has.
func Down(ctx context.Context, dir string) ([]string, error) {
	return localcluster.Down(ctx, dir, &machine{})
}

// startNode starts the node's programs and returns when it is Ready and has the images
// that are not in a registry.
func (c *Cluster) startNode(ctx context.Context, m *machine) error {
	// Another process that opens the cluster finds it there.
	if err := os.Symlink(c.Program(ctr), c.ctr()); err != nil {
		return fmt.Errorf("linking %s: %w", ctr, err)
	}
	containerd, err := c.containerd(m.network)
	if err != nil {
		return err
	}
	kubelet, err := c.kubelet()
	if err != nil {
		return err
	}
	proxy, err := c.proxy()
	if err != nil {
		return err
	}
	if err := c.Launch(ctx, containerd); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.loadOwnImages(ctx) })
	group.Go(func() error { return c.Launch(ctx, kubelet, proxy) })
	group.Go(func() error { return c.AwaitNodes(ctx, 1) })
	return group.Wait()
}

// ctr is the client of containerd.
const ctr = "ctr"

func (c *Cluster) ctr() string { return filepath.Join(filepath.Dir(c.Kubectl()), ctr) }

func (c *Cluster) loadOwnImages(ctx context.Context) error {
	archives, err := ownImages(ctx, c.Report)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, archive := range archives {
		group.Go(func() error { return c.LoadArchive(ctx, archive) })
	}
	return group.Wait()
}

// The programs of a node have these of the cluster's ports.
const (
	portKubelet = iota
	portKubeletHealth
	portProxyHealth
	portProxyMetrics
	portKWOK
)

const loopback = "127.0.0.1"
