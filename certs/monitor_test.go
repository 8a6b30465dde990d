package certs

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/metrics"
)

// watched is a Monitor on an API server that may be away, and what it logs.
type watched struct {
	*Monitor

	client client.Client
	clock  *clocktesting.FakeClock
	away   bool
	lines  []string
}

func newWatched(t *testing.T, objects ...client.Object) *watched {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &watched{clock: clocktesting.NewFakeClock(now)}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if w.away {
				return errAway
			}
			return c.Get(ctx, key, object, options...)
		},
	}).Build()
	measures, err := metrics.NewCertificates(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	w.Monitor = &Monitor{
		Live: w.client, Files: NewFiles(t.TempDir()), Clock: w.clock, Metrics: measures,
		Events: events.New(w.client, w.clock, "test"),
		Options: Options{
			Certificate: types.NamespacedName{Namespace: "ns", Name: "serving"}, Configuration: "job-handler",
			Interval: time.Hour, Retry: time.Minute, Patience: 2 * time.Minute,
		},
	}
	return w
}

// lookAfter looks again when some time has passed, and returns the lines that
// it logs.
func (w *watched) lookAfter(t *testing.T, passed time.Duration) []string {
	t.Helper()
	w.clock.Step(passed)
	w.lines = nil
	logger := funcr.New(func(_, line string) { w.lines = append(w.lines, line) }, funcr.Options{})
	w.look(ctrl.LoggerInto(t.Context(), logger))
	return w.lines
}

func (w *watched) events(t *testing.T) []eventsv1.Event {
	t.Helper()
	list := &eventsv1.EventList{}
	if err := w.client.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func configurations() []client.Object {
	name := metav1.ObjectMeta{Name: "job-handler", UID: "u"}
	return []client.Object{
		&admissionv1.MutatingWebhookConfiguration{ObjectMeta: name},
		&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: name},
	}
}

func TestTell(t *testing.T) {
	certificate := &certmanagerv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "serving", UID: "c"}}
	w := newWatched(t, append(configurations(), certificate)...)
	if err := w.Check(nil); err == nil || !strings.Contains(err.Error(), "has not been checked yet") {
		t.Errorf("before the first look: %v", err)
	}
	for _, step := range []struct {
		passed        time.Duration
		lines, events int
	}{
		{0, 2, 0},                // two problems, for a moment perhaps
		{time.Minute, 0, 0},      // known
		{time.Minute, 0, 2},      // they last
		{59 * time.Minute, 2, 2}, // logged again, an hour after the first line
		{time.Minute, 0, 4},      // an hour after the Events
	} {
		if lines := w.lookAfter(t, step.passed); len(lines) != step.lines {
			t.Errorf("%s later: logged %q", step.passed, lines)
		}
		if got := w.events(t); len(got) != step.events {
			t.Errorf("%s later: %d Events, want %d", step.passed, len(got), step.events)
		}
	}
	for _, event := range w.events(t) {
		got := fmt.Sprintf("%s %s %s %s", event.Type, event.Reason, event.Action, event.Regarding.Kind)
		if got != "Warning WebhookCertificate ServeWebhook Certificate" || !strings.Contains(event.Note, ". To do: ") {
			t.Errorf("Event %s: %s", got, event.Note)
		}
	}
}

// While the API server is away, what it said last counts.
func TestLastAnswerCounts(t *testing.T) {
	w := newWatched(t, configurations()...)
	w.away = true
	w.lookAfter(t, 0)
	if err := w.Check(nil); err == nil || strings.Count(err.Error(), "cannot be read: connection refused") != 3 {
		t.Errorf("never read: %v", err)
	}
	w.away = false
	w.lookAfter(t, time.Minute)
	w.away = true
	w.lookAfter(t, time.Minute)
	if err := w.Check(nil); err == nil || strings.Contains(err.Error(), "configuration") {
		t.Errorf("after they were read: %v", err)
	}
	if w.last.configurations[1].object == nil {
		t.Error("what was read before is forgotten")
	}
}

func TestStartEnds(t *testing.T) {
	w := newWatched(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.look(ctx)
	if err := w.Start(ctx); err != nil {
		t.Error(err)
	}
	if w.looked {
		t.Error("what was seen while ending counts")
	}
}
