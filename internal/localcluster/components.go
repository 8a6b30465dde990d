package localcluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

// startTimeout bounds the time that one component gets to be ready, on a slow and
// busy machine too. One that ends is noticed before.
const startTimeout = 5 * time.Minute

// component is a program of the cluster with its arguments.
type component struct {
	name string
	args []string
	// path is a folder in which the program looks for others, if any.
	path string
}

// launch starts a component and waits until it is ready.
func (c *Cluster) launch(ctx context.Context, part component) error {
	if err := c.start(ctx, part); err != nil {
		return err
	}
	return c.await(ctx, part.name)
}

// start starts a component with the extra arguments that were asked for.
func (c *Cluster) start(ctx context.Context, part component) error {
	err := c.client.Start(ctx, supervisor.Process{
		Name: part.name,
		Args: append([]string{c.programs.Path(part.name)}, part.args...),
		Env:  []string{"PATH=" + strings.TrimPrefix(part.path+":"+systemPath, ":")},
		Log:  c.folder.log(part.name),
		// The controller manager for one ends by itself when it cannot
		// reach the apiserver at its start.
		Restart: true,
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", part.name, err)
	}
	return nil
}

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// await waits until a component that was started is ready. Its error tells of
// the component's log.
func (c *Cluster) await(callers context.Context, name string) error {
	ctx, cancel := context.WithTimeout(callers, startTimeout)
	defer cancel()
	probe := c.probe(name)
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		if ended := c.ended(ctx, name); ended != nil {
			return ended
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-callers.Done():
			return fmt.Errorf("waiting for %s: %w", name, context.Cause(callers))
		case <-ctx.Done():
			return c.trouble(name, fmt.Sprintf("is not ready: %v (%v)", err, ctx.Err()))
		}
	}
}

// ended returns an error if a component is not running any more.
func (c *Cluster) ended(ctx context.Context, name string) error {
	all, err := c.client.List(ctx)
	if err != nil {
		return nil //nolint:nilerr // The probe's own error says more.
	}
	for _, status := range all {
		if status.Name == name && !status.Running {
			return c.trouble(name, status.Exit)
		}
	}
	return nil
}

// trouble returns an error that names a component, its log and the log's end.
func (c *Cluster) trouble(name, what string) error {
	log := c.folder.log(name)
	return fmt.Errorf("%s %s; the last lines of %s:\n%s", name, what, log, lastLines(log, 15))
}

func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return tail(string(data), n)
}

// tail returns the last n lines of a text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Pause stops a component where it is, with SIGSTOP: its connections stay
// open and nothing answers on them.
func (c *Cluster) Pause(ctx context.Context, component string) error {
	return c.signal(ctx, component, syscall.SIGSTOP)
}

// Resume lets a paused component go on.
func (c *Cluster) Resume(ctx context.Context, component string) error {
	return c.signal(ctx, component, syscall.SIGCONT)
}

// Kill ends a component with SIGKILL and returns when it is gone. It is not
// started again until Restart.
func (c *Cluster) Kill(ctx context.Context, component string) error {
	return c.end(ctx, component, syscall.SIGKILL)
}

// Terminate ends a component with SIGTERM and returns when it is gone. It is
// not started again until Restart.
func (c *Cluster) Terminate(ctx context.Context, component string) error {
	return c.end(ctx, component, syscall.SIGTERM)
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
	if err := c.client.Again(ctx, component); err != nil {
		return fmt.Errorf("restarting %s: %w", component, err)
	}
	return c.await(ctx, component)
}

func (c *Cluster) end(ctx context.Context, component string, sig syscall.Signal) error {
	if err := c.client.End(ctx, component, sig); err != nil {
		return fmt.Errorf("ending %s: %w", component, err)
	}
	return nil
}

func (c *Cluster) signal(ctx context.Context, component string, sig syscall.Signal) error {
	if err := c.client.Signal(ctx, component, sig); err != nil {
		return fmt.Errorf("sending %s to %s: %w", sig, component, err)
	}
	return nil
}
