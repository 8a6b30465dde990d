package selftest

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
)

const (
	// testTimeout is enough for the webhook's own timeout and a busy API server.
	testTimeout = 10 * time.Second
	// One failure is not told of: at the start, and after a change of the
	// webhook configuration, API servers take a moment to notice.
	toldFailures = 2
)

// Runner tests, again and again, whether Jobs are stamped. It enqueues nothing.
type Runner struct {
	// Client creates the Jobs, and reads past the cache what Events are about.
	Client  client.Client
	Events  *events.Recorder
	Metrics Metrics
	Clock   clock.Clock
	// Found is told whether a Job was stamped, after each test that says so; it
	// is optional.
	Found func(stamped bool)
	Options

	// What Start alone uses.
	failures int
	lasting  *events.Lasting
}

// Options say where and how often is tested.
type Options struct {
	// Namespace is the manager's own.
	Namespace string
	// Configuration is the name of the mutating webhook configuration.
	Configuration string
	// Interval is the time between tests; while they fail it is at most Retry.
	Interval, Retry time.Duration
	// Patience is how long tests fail before an Event says so.
	Patience time.Duration
}

// NeedLeaderElection makes every manager test.
func (r *Runner) NeedLeaderElection() bool { return false }

// Start tests until ctx ends.
func (r *Runner) Start(ctx context.Context) error {
	for {
		pause := r.Interval
		if !r.test(ctx) {
			pause = min(r.Interval, r.Retry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.Clock.After(pause):
		}
	}
}

// test tests once, and reports whether Jobs are stamped.
func (r *Runner) test(ctx context.Context) bool {
	found := r.try(ctx)
	if ctx.Err() != nil {
		return false
	}
	r.Metrics.Tested(found.result, r.Clock.Now())
	r.found(found.result)
	if found.result == Stamped {
		r.failures = 0
		r.tell(ctx, nil)
		return true
	}
	if r.failures++; r.failures >= toldFailures {
		r.tell(ctx, []events.Problem{r.problem(ctx, found)})
	}
	return false
}

// found tells of results that say something about stamping.
func (r *Runner) found(result Result) {
	if r.Found == nil {
		return
	}
	if stamped := result == Stamped; stamped || result == Unstamped {
		r.Found(stamped)
	}
}

// +kubebuilder:rbac:groups=batch,namespace=job-handler-system,resources=jobs,verbs=create

// try creates a Job in a dry run and judges what comes back.
func (r *Runner) try(ctx context.Context) finding {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	word := strings.ToLower(rand.Text())
	job := probe(r.Namespace, word)
	if err := r.Client.Create(ctx, job, client.DryRunAll); err != nil {
		return judgeError(err)
	}
	return judge(job, word)
}

// problem puts a finding into words.
func (r *Runner) problem(ctx context.Context, found finding) events.Problem {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	configuration := &admissionv1.MutatingWebhookConfiguration{}
	err := r.Client.Get(ctx, client.ObjectKey{Name: r.Configuration}, configuration)
	if err == nil {
		return found.problem(configuration, r.Configuration)
	}
	p := found.problem(nil, r.Configuration)
	namespace := &corev1.Namespace{}
	if r.Client.Get(ctx, client.ObjectKey{Name: r.Namespace}, namespace) == nil {
		p.About = namespace
	}
	return p
}

func (r *Runner) tell(ctx context.Context, problems []events.Problem) {
	if r.lasting == nil {
		r.lasting = &events.Lasting{
			Events: r.Events, Clock: r.Clock, Patience: r.Patience,
			Reason: api.ReasonWebhookSelfTest, Action: api.ActionServe, ClassPrefix: "self-test",
			Log: func(ctx context.Context, p events.Problem) {
				ctrl.LoggerFrom(ctx).Info("the self-test of stamping fails", "problem", p.Text, "toDo", p.Remedy)
			},
		}
	}
	if r.lasting.Tell(ctx, problems) {
		ctrl.LoggerFrom(ctx).Info("the self-test succeeds: Jobs are stamped when they are created")
	}
}
