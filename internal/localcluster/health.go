package localcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

// ComponentStatus tells how a component is.
type ComponentStatus struct {
	Name string
	// PID is its process; of a node's cluster as the node's own PID
	// namespace has it.
	PID int
	// Running is true if its process exists, be it paused.
	Running bool
	// Healthy is true if it answers as it should.
	Healthy bool
	// Detail says what is wrong, if anything.
	Detail string
	// Log is the path of its log file.
	Log string
}

// Components returns the state of every component, in the order of their start.
func (c *Cluster) Components(ctx context.Context) ([]ComponentStatus, error) {
	request, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	all, err := c.processes.client.List(request)
	if err != nil {
		return nil, fmt.Errorf("listing components: %w", err)
	}
	known := map[string]supervisor.Status{}
	for _, status := range all {
		known[status.Name] = status
	}
	components := make([]ComponentStatus, 0, len(c.state.Components))
	for _, part := range c.state.Components {
		process := known[part.Name]
		status := ComponentStatus{Name: part.Name, PID: process.PID, Log: c.folder.log(part.Name), Running: process.Running}
		if !status.Running {
			status.Detail = process.Exit
		} else if err := part.probe(ctx, c.credentials.ca); err != nil {
			status.Detail = err.Error()
		} else {
			status.Healthy = true
		}
		components = append(components, status)
	}
	return components, nil
}

// Healthy returns nil if every component answers as it should and every node
// is Ready, and else an error that says which is not.
func (c *Cluster) Healthy(ctx context.Context) error {
	components, err := c.Components(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, part := range components {
		if !part.Healthy {
			failures = append(failures, fmt.Errorf("%s is not healthy: %s", part.Name, part.Detail))
		}
	}
	if len(failures) > 0 || c.state.Nodes == 0 {
		return errors.Join(failures...)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.nodesReady(ctx, c.state.Nodes)
}
