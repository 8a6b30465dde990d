package localcluster

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

// Start builds what the cluster needs, starts it and returns when it is ready:
// every component answers and, in the modes that have nodes, they are Ready. If
// it fails or ctx ends, nothing is left running. The cluster ends with Stop, or
// with the calling process, however that dies, unless Detach is set.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cluster{progress: reporter{o.Progress}, owner: -1}
	if c.programs, err = Build(ctx, o.Kubernetes, o.programs(), o.Progress); err != nil {
		return nil, err
	}
	if err := c.prepareFolder(o); err != nil {
		return nil, err
	}
	started := time.Now()
	lock, err := c.folder.lock()
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := c.bringUp(ctx, o, lock); err != nil {
		return nil, c.abandon(ctx, err)
	}
	c.progress.line("the cluster is ready after %s", since(started))
	return c, nil
}

// prepareFolder sets the data folder.
func (c *Cluster) prepareFolder(o Options) error {
	if o.Dir != "" {
		c.folder = folder(o.Dir)
		return nil
	}
	dir, err := os.MkdirTemp("", "job-handler-cluster-")
	c.folder, c.temporary = folder(dir), true
	return err
}

// abandon undoes a start that failed, and returns why it did.
func (c *Cluster) abandon(ctx context.Context, cause error) error {
	// The logs tell why, so they stay.
	c.temporary = false
	// The start's own context may be what ended it.
	if err := c.Stop(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("%w (and cleaning up failed: %w)", cause, err)
	}
	return cause
}

func (c *Cluster) bringUp(ctx context.Context, o Options, lock *os.File) error {
	if err := c.prepare(ctx, o, lock); err != nil {
		return err
	}
	if err := c.startControlPlane(ctx, o); err != nil {
		return err
	}
	if err := c.startCertManager(ctx, o); err != nil {
		return err
	}
	if err := c.startNodes(ctx, o); err != nil {
		return err
	}
	if err := c.writeState(); err != nil {
		return err
	}
	if !o.Detach {
		return nil
	}
	return c.client.Detach(ctx)
}

// prepare makes everything that the programs need, and their supervisor, which
// takes the locks over.
func (c *Cluster) prepare(ctx context.Context, o Options, lock *os.File) error {
	if err := c.folder.clear(); err != nil {
		return err
	}
	if err := c.folder.create(); err != nil {
		return err
	}
	base, ports, err := reservePorts(ctx)
	if err != nil {
		return err
	}
	defer ports.Close()
	c.state = state{Mode: o.Mode, Address: loopback, BasePort: base, CTR: c.programs.Path("ctr")}
	held, config := []*os.File{lock, ports}, supervisor.Config{}
	if o.Mode == WithNode {
		node, err := c.prepareMachine(ctx, o.WaitForNode)
		if err != nil {
			return err
		}
		defer node.lock.Close()
		held = append(held, node.lock)
		c.network, c.state.Address = node.network, node.network.Addr().Next().String()
		if config, err = c.nodeConfig(); err != nil {
			return err
		}
	}
	if err := c.writeAccess(); err != nil {
		return err
	}
	if err := c.startSupervisor(ctx, config, held); err != nil {
		return err
	}
	// From here on Down can end it.
	return c.writeState()
}

// writeAccess makes what clients use: certificates, kubeconfig, kubectl.
func (c *Cluster) writeAccess() error {
	if err := c.writeCredentials(); err != nil {
		return err
	}
	var err error
	if c.admin, err = c.ConfigFor(adminIdentity.user, adminIdentity.groups...); err != nil {
		return err
	}
	if err := os.Symlink(c.programs.Path("kubectl"), c.folder.kubectl()); err != nil {
		return fmt.Errorf("linking kubectl: %w", err)
	}
	return nil
}

func (c *Cluster) startControlPlane(ctx context.Context, o Options) error {
	started := time.Now()
	parts, err := c.controlPlane(o)
	if err != nil {
		return err
	}
	// The apiserver needs etcd, and the rest the apiserver.
	for _, stage := range [][]component{parts[:1], parts[1:2], parts[2:]} {
		if err := c.launchAll(ctx, o, stage); err != nil {
			return err
		}
	}
	c.progress.line("the control plane is ready after %s", since(started))
	return nil
}

// launchAll launches components side by side, with the extra arguments that
// were asked for.
func (c *Cluster) launchAll(ctx context.Context, o Options, parts []component) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		c.state.Components = append(c.state.Components, part.name)
		part.args = append(part.args, o.ExtraArgs[part.name]...)
		group.Go(func() error { return c.launch(ctx, part) })
	}
	return group.Wait()
}

// controlPlane returns etcd, the apiserver and what else was asked for.
func (c *Cluster) controlPlane(o Options) ([]component, error) {
	apiServer, err := c.apiServer(o.AuditPolicy)
	if err != nil {
		return nil, err
	}
	parts := []component{c.etcd(o.Sync), apiServer}
	if o.ControllerManager {
		manager, err := c.controllerManager()
		if err != nil {
			return nil, err
		}
		parts = append(parts, manager)
	}
	if o.Scheduler {
		scheduler, err := c.scheduler()
		if err != nil {
			return nil, err
		}
		parts = append(parts, scheduler)
	}
	return parts, nil
}
