package certs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
)

// lookTimeout bounds one check.
const lookTimeout = 10 * time.Second

// Monitor checks repeatedly whether the API server can trust the webhook server's
// certificate. It reads the three objects live by name, so that the manager needs no
// right to list them, and works without cert-manager. Check is the manager's readiness.
type Monitor struct {
	// Live reads from the API server; its scheme has AddToScheme.
	Live    client.Reader
	Files   *Files
	Events  *events.Recorder
	Metrics Metrics
	Clock   clock.Clock
	Options

	mu       sync.Mutex
	looked   bool
	problems []problem

	// What Start alone uses.
	last    *observation
	issued  bool
	lasting *events.Lasting
	// blocking says which classes of problems make the manager unready.
	blocking map[string]bool
}

// Metrics are set to what Monitor observes, as metrics.Certificates does.
type Metrics interface {
	// SetExpiry sets when the certificate that is served expires.
	SetExpiry(at time.Time)
	// SetIssued sets whether cert-manager's Certificate is Ready.
	SetIssued(issued bool)
	// SetBundleMatches sets whether the webhook configuration of a kind, mutating or
	// validating, trusts the certificate that is served.
	SetBundleMatches(kind string, matches bool)
}

// Options say what to check and how often.
type Options struct {
	// Certificate is cert-manager's, empty if the files come from elsewhere.
	Certificate types.NamespacedName
	// Configuration is the name of both webhook configurations.
	Configuration string
	// Address is the host:port on which the webhook server listens.
	Address string
	// Interval is the time between checks without problems, Retry the time with problems.
	Interval, Retry time.Duration
	// Patience is how long a problem lasts before an Event reports it. Problems at the
	// start, and while a certificate is renewed, pass soon.
	Patience time.Duration
}

// NeedLeaderElection makes every manager check its own server.
func (m *Monitor) NeedLeaderElection() bool { return false }

// Start checks until ctx ends, first after the first attempt to load the files.
func (m *Monitor) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-m.Files.tried:
	}
	for {
		pause := m.Interval
		if !m.look(ctx) {
			pause = m.Retry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.Files.changed:
		case <-m.Clock.After(pause):
		}
	}
}

// Check returns nil if the API server can trust the served certificate. Otherwise the
// error says why not, and what to do.
func (m *Monitor) Check(*http.Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.looked {
		return errors.New("the webhook's certificate has not been checked yet")
	}
	var errs []error
	for _, p := range m.problems {
		if p.blocks {
			errs = append(errs, fmt.Errorf("%s (to do: %s)", p.Text, p.Remedy))
		}
	}
	return errors.Join(errs...)
}

// look checks once, and reports whether there is no problem.
func (m *Monitor) look(ctx context.Context) bool {
	if m.last == nil {
		m.last = &observation{}
	}
	limited, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	o, now := m.observe(limited, m.last), m.Clock.Now()
	if ctx.Err() != nil {
		return false
	}
	m.last = o
	m.issued = m.issued || o.certificate.issued()
	problems := judge(o, m.issued, now)
	m.measure(o, now)
	m.mu.Lock()
	m.looked, m.problems = true, problems
	m.mu.Unlock()
	m.tell(ctx, problems)
	return len(problems) == 0
}

func (m *Monitor) measure(o *observation, now time.Time) {
	if leaf := o.leaf(); leaf != nil {
		m.Metrics.SetExpiry(leaf.NotAfter)
	}
	if o.certificate.name.Name != "" {
		m.Metrics.SetIssued(o.certificate.issued())
	}
	for i := range o.configurations {
		c := &o.configurations[i]
		m.Metrics.SetBundleMatches(c.kind, c.object != nil && len(o.served) > 0 && c.distrust(o.served, now) == nil)
	}
}

// tell logs each problem when it is new and then hourly, and sends an Event if it lasts.
func (m *Monitor) tell(ctx context.Context, problems []problem) {
	if m.lasting == nil {
		m.lasting = m.newLasting()
	}
	m.blocking = map[string]bool{}
	told := make([]events.Problem, 0, len(problems))
	for _, p := range problems {
		m.blocking[p.Class] = p.blocks
		told = append(told, p.Problem)
	}
	if m.lasting.Tell(ctx, told) {
		ctrl.LoggerFrom(ctx).Info("the API server can trust the webhook's certificate",
			"expires", m.last.leaf().NotAfter.UTC().Format(time.RFC3339))
	}
}

func (m *Monitor) newLasting() *events.Lasting {
	return &events.Lasting{
		Events: m.Events, Clock: m.Clock, Patience: m.Patience,
		Reason: api.ReasonWebhookCertificate, Action: api.ActionServe, ClassPrefix: "certificate",
		Log: func(ctx context.Context, p events.Problem) {
			ctrl.LoggerFrom(ctx).Info("something is wrong with the webhook's certificate",
				"problem", p.Text, "toDo", p.Remedy, "ready", !m.blocking[p.Class])
		},
	}
}
