package selftest

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/events"
)

// oncePoll is how soon a test that failed is repeated.
const oncePoll = time.Second

// Once tests for somebody who waits for the answer. It writes no Event.
type Once struct {
	// Client creates the Job, and reads past any cache what is wrong.
	Client client.Client
	// Namespace is the manager's own, Configuration the name of the mutating
	// webhook configuration.
	Namespace, Configuration string
}

// Run returns nil once a Job was stamped. If none was within the timeout, the
// error says what the last test found, and what to do about it.
func (o *Once) Run(ctx context.Context, timeout time.Duration) error {
	runner := Runner{Client: o.Client, Options: Options{Namespace: o.Namespace, Configuration: o.Configuration}}
	var last finding
	err := wait.PollUntilContextTimeout(ctx, oncePoll, timeout, true, func(ctx context.Context) (bool, error) {
		found := runner.try(ctx)
		// A test that was cut short says nothing.
		if ctx.Err() == nil || last.result == "" {
			last = found
		}
		return last.result == Stamped, nil
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	problem := runner.problem(ctx, last)
	return &ProblemError{Problem: problem}
}

// ProblemError is what keeps Jobs from being stamped.
type ProblemError struct{ Problem events.Problem }

// Error says what is wrong and what to do.
func (e *ProblemError) Error() string {
	return fmt.Sprintf("%s. To do: %s", e.Problem.Text, e.Problem.Remedy)
}
