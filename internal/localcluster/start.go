package localcluster

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"
)

// Start builds what the cluster needs, starts it and returns when it is ready:
// every component answers and its nodes, if it has any, are Ready. If it fails or ctx ends, nothing is left running. The cluster ends with Stop, or
// with the calling process, however that dies, unless Detach is set.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	programs, err := Build(ctx, o.Kubernetes, o.programs(), o.Progress)
	if err != nil {
		return nil, err
	}
	c := &Cluster{progress: reporter{o.Progress}, extraArgs: o.ExtraArgs, owner: -1}
	c.processes.programs = programs
	c.state.Mode = ControlPlane
	if o.Nodes != nil {
		c.state.Mode, c.machine = o.Nodes.Mode, o.Nodes.Machine
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
		c.folder = Folder(o.Dir)
		return nil
	}
	dir, err := os.MkdirTemp("", "job-handler-cluster-")
	c.folder, c.temporary = Folder(dir), true
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
	if err := c.prepare(ctx, lock); err != nil {
		return err
	}
	if err := c.startControlPlane(ctx, o); err != nil {
		return err
	}
	if err := c.startCertManager(ctx, o); err != nil {
		return err
	}
	if err := c.startNodes(ctx, o.Nodes); err != nil {
		return err
	}
	if err := c.writeState(); err != nil {
		return err
	}
	if !o.Detach {
		return nil
	}
	return c.processes.client.Detach(ctx)
}

// prepare makes everything that the programs need, and their supervisor, which
// takes the locks over.
func (c *Cluster) prepare(ctx context.Context, lock *os.File) error {
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
	c.state.BasePort = base
	place := Place{}
	if c.machine != nil {
		if place, err = c.machine.Prepare(ctx, c); err != nil {
			return err
		}
	}
	defer place.close()
	c.state.Address = cmp.Or(place.Address, loopback)
	if err := c.writeAccess(); err != nil {
		return err
	}
	if err := c.startSupervisor(ctx, place, append([]*os.File{lock, ports}, place.Held...)); err != nil {
		return err
	}
	// From here on Down can end it.
	return c.writeState()
}

// writeAccess makes what clients use: certificates, kubeconfig, kubectl.
func (c *Cluster) writeAccess() error {
	c.credentials = credentials{folder: c.folder, url: c.url()}
	if err := c.credentials.write(c.state.Address); err != nil {
		return err
	}
	c.processes.folder, c.processes.ca = c.folder, c.credentials.ca
	var err error
	if c.admin, err = c.credentials.configFor(adminIdentity); err != nil {
		return err
	}
	if err := os.Symlink(c.Program("kubectl"), c.folder.kubectl()); err != nil {
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
	for _, stage := range [][]Component{parts[:1], parts[1:2], parts[2:]} {
		if err := c.Launch(ctx, stage...); err != nil {
			return err
		}
	}
	c.progress.line("the control plane is ready after %s", since(started))
	return nil
}

// startNodes adds the nodes, if there are any.
func (c *Cluster) startNodes(ctx context.Context, nodes *Nodes) error {
	if nodes == nil {
		return nil
	}
	started := time.Now()
	if err := nodes.Start(ctx, c); err != nil {
		return err
	}
	c.progress.line("%d nodes are Ready after %s", c.state.Nodes, since(started))
	return nil
}

// controlPlane returns etcd, the apiserver and what else was asked for.
func (c *Cluster) controlPlane(o Options) ([]Component, error) {
	apiServer, err := c.apiServer(o.AuditPolicy)
	if err != nil {
		return nil, err
	}
	parts := []Component{c.etcd(o.Sync), apiServer}
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
