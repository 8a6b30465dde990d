package localcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Component is a program of the cluster with its arguments.
type Component struct {
	// Name is that of the program, as Build has it.
	Name string
	Args []string
	// Path is a folder in which the program looks for others, if any.
	Path string
	// Health is the URL that answers with status 200 when the component is ready, or
	// unix:// and the path of a socket that takes connections then.
	Health string
}

// Launch launches components side by side, with the extra arguments that were asked
// for, and waits until they are ready.
func (c *Cluster) Launch(ctx context.Context, parts ...Component) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		ready := readiness{part.Name, part.Health}
		c.state.Components = append(c.state.Components, ready)
		part.Args = append(part.Args, c.extraArgs[part.Name]...)
		c.launched = append(c.launched, part)
		group.Go(func() error {
			if err := c.processes.start(ctx, part); err != nil {
				return err
			}
			return c.processes.await(ctx, ready)
		})
	}
	return group.Wait()
}

// Run runs a program, by its path, to its end beside the components; the error has the
// end of its output. Name is what its log is called meanwhile.
func (c *Cluster) Run(ctx context.Context, name string, args ...string) error {
	return c.processes.run(ctx, name, args...)
}

// Pause stops a component where it is, with SIGSTOP: its connections stay
// open and nothing answers on them.
func (c *Cluster) Pause(ctx context.Context, component string) error {
	return c.processes.signal(ctx, component, syscall.SIGSTOP)
}

// Resume lets a paused component go on.
func (c *Cluster) Resume(ctx context.Context, component string) error {
	return c.processes.signal(ctx, component, syscall.SIGCONT)
}

// Kill ends a component with SIGKILL and returns when it is gone. It is not
// started again until Restart.
func (c *Cluster) Kill(ctx context.Context, component string) error {
	return c.processes.end(ctx, component, syscall.SIGKILL)
}

// Terminate ends a component with SIGTERM and returns when it is gone. It is
// not started again until Restart.
func (c *Cluster) Terminate(ctx context.Context, component string) error {
	return c.processes.end(ctx, component, syscall.SIGTERM)
}

// restartGrace is what a component that is restarted gets to end: an apiserver
// that has clients would take a minute.
const restartGrace = 5 * time.Second

// Restart starts a component with the arguments that it had, after ending it
// if it runs, with SIGTERM or if need be SIGKILL, and returns when it is ready.
func (c *Cluster) Restart(ctx context.Context, component string) error {
	if err := c.endSoon(ctx, component); err != nil {
		return err
	}
	if err := c.processes.client.Again(ctx, component); err != nil {
		return fmt.Errorf("restarting %s: %w", component, err)
	}
	return c.awaitAgain(ctx, component)
}

// Upgrade replaces the API server, and the controller manager if there is one, by those
// of another minor of Kubernetes, such as 1.37, one after the other. It builds them
// first if need be. etcd stays, and with it all objects. It is for the process that
// started the cluster.
func (c *Cluster) Upgrade(ctx context.Context, minor string) error {
	if len(c.launched) == 0 {
		return errors.New("upgrading the control plane: another process started it")
	}
	programs, err := Build(ctx, minor, ControlPlanePrograms, c.progress.w)
	if err != nil {
		return err
	}
	for _, part := range c.launched {
		if part.Name != APIServer && part.Name != ControllerManager {
			continue
		}
		if err := c.endSoon(ctx, part.Name); err != nil {
			return err
		}
		c.processes.programs.paths[part.Name] = programs.Path(part.Name)
		if err := c.processes.start(ctx, part); err != nil {
			return err
		}
		if err := c.awaitAgain(ctx, part.Name); err != nil {
			return err
		}
	}
	return nil
}

// endSoon ends a component with SIGTERM, or with SIGKILL after restartGrace.
func (c *Cluster) endSoon(ctx context.Context, component string) error {
	graceful, cancel := context.WithTimeout(ctx, restartGrace)
	defer cancel()
	if c.Terminate(graceful, component) == nil {
		return nil
	}
	return c.Kill(ctx, component)
}

// awaitAgain waits until a component that was launched before is ready.
func (c *Cluster) awaitAgain(ctx context.Context, component string) error {
	at := slices.IndexFunc(c.state.Components, func(r readiness) bool { return r.Name == component })
	if at < 0 {
		return fmt.Errorf("restarting %s: there is no such component", component)
	}
	return c.processes.await(ctx, c.state.Components[at])
}
