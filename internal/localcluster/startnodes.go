package localcluster

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// startNodes adds the nodes of the cluster's mode and returns when they are Ready.
func (c *Cluster) startNodes(ctx context.Context, o Options) error {
	started := time.Now()
	switch o.Mode {
	case WithNode:
		if err := c.startNode(ctx, o); err != nil {
			return err
		}
		c.state.Nodes = 1
		c.progress.line("the node is Ready after %s", since(started))
	case WithKWOK:
		if err := c.startKWOK(ctx, o); err != nil {
			return err
		}
		c.state.Nodes = o.FakeNodes
		c.progress.line("%d simulated nodes are Ready after %s", o.FakeNodes, since(started))
	case ControlPlane:
	}
	return nil
}

func (c *Cluster) startNode(ctx context.Context, o Options) error {
	containerd, err := c.containerd(c.network)
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
	if err := c.launchAll(ctx, o, []component{containerd}); err != nil {
		return err
	}
	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() error { return c.loadOwnImages(groupContext) })
	group.Go(func() error { return c.launchAll(groupContext, o, []component{kubelet, proxy}) })
	group.Go(func() error { return c.awaitNodes(groupContext, 1) })
	return group.Wait()
}

func (c *Cluster) loadOwnImages(ctx context.Context) error {
	archives, err := ownImages(ctx, c.progress)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, archive := range archives {
		group.Go(func() error { return c.LoadArchive(ctx, archive) })
	}
	return group.Wait()
}
