package localcluster

import (
	"context"
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
	graceful, cancel := context.WithTimeout(ctx, restartGrace)
	defer cancel()
	if err := c.Terminate(graceful, component); err != nil {
		if err := c.Kill(ctx, component); err != nil {
			return err
		}
	}
	if err := c.processes.client.Again(ctx, component); err != nil {
		return fmt.Errorf("restarting %s: %w", component, err)
	}
	at := slices.IndexFunc(c.state.Components, func(r readiness) bool { return r.Name == component })
	if at < 0 {
		return fmt.Errorf("restarting %s: there is no such component", component)
	}
	return c.processes.await(ctx, c.state.Components[at])
}
