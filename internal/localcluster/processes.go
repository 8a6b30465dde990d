package localcluster

import (
	"context"
	"crypto/rand"
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

// SystemPath is the PATH of the cluster's programs.
const SystemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// processes are the cluster's programs, which its supervisor runs.
type processes struct {
	client   *supervisor.Client
	folder   Folder
	programs Programs
	// ca signed for the programs that serve.
	ca *authority
}

// start starts a component.
func (p *processes) start(ctx context.Context, part Component) error {
	err := p.client.Start(ctx, supervisor.Process{
		Name: part.Name,
		Args: append([]string{p.programs.Path(part.Name)}, part.Args...),
		Env:  []string{"PATH=" + strings.TrimPrefix(part.Path+":"+SystemPath, ":")},
		Log:  p.folder.log(part.Name),
		// The controller manager for one ends by itself when it cannot
		// reach the apiserver at its start.
		Restart: true,
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", part.Name, err)
	}
	return nil
}

// await waits until a component that was started is ready. Its error tells of
// the component's log.
func (p *processes) await(callers context.Context, part readiness) error {
	ctx, cancel := context.WithTimeout(callers, startTimeout)
	defer cancel()
	for {
		err := part.probe(ctx, p.ca)
		if err == nil {
			return nil
		}
		if ended := p.ended(ctx, part.Name); ended != nil {
			return ended
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-callers.Done():
			return fmt.Errorf("waiting for %s: %w", part.Name, context.Cause(callers))
		case <-ctx.Done():
			return p.trouble(part.Name, fmt.Sprintf("is not ready: %v (%v)", err, ctx.Err()))
		}
	}
}

// ended returns an error if a component is not running any more.
func (p *processes) ended(ctx context.Context, name string) error {
	all, err := p.client.List(ctx)
	if err != nil {
		return nil //nolint:nilerr // The probe's own error says more.
	}
	for _, status := range all {
		if status.Name == name && !status.Running {
			return p.trouble(name, status.Exit)
		}
	}
	return nil
}

// trouble returns an error that names a component, its log and the log's end.
func (p *processes) trouble(name, what string) error {
	log := p.folder.log(name)
	return fmt.Errorf("%s %s; the last lines of %s:\n%s", name, what, log, lastLines(log, 15))
}

// run runs a program to its end, which is an error unless its exit code is 0. Several
// may run side by side.
func (p *processes) run(ctx context.Context, name string, args ...string) error {
	id := name + "-" + rand.Text()
	err := p.client.Run(ctx, supervisor.Process{
		Name: id, Args: args, Env: []string{"PATH=" + SystemPath}, Log: p.folder.log(id),
	})
	if err != nil {
		return p.trouble(id, err.Error())
	}
	return os.Remove(p.folder.log(id))
}

func (p *processes) end(ctx context.Context, component string, sig syscall.Signal) error {
	if err := p.client.End(ctx, component, sig); err != nil {
		return fmt.Errorf("ending %s: %w", component, err)
	}
	return nil
}

func (p *processes) signal(ctx context.Context, component string, sig syscall.Signal) error {
	if err := p.client.Signal(ctx, component, sig); err != nil {
		return fmt.Errorf("sending %s to %s: %w", sig, component, err)
	}
	return nil
}

func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return Tail(string(data), n)
}

// Tail returns the last n lines of a text.
func Tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
