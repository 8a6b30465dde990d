package selftest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/policy"
)

const own = "job-handler-system"

// world is an API server with a webhook, a clock, and a Runner in front of them.
type world struct {
	*Runner

	client client.Client
	clock  *clocktesting.FakeClock
	counts counts
	lines  []string

	mu sync.Mutex
	// admit is what becomes of a Job on its way.
	admit func(*batchv1.Job) error
	tests int
}

// admitBy says what becomes of the next Jobs.
func (w *world) admitBy(admit func(*batchv1.Job) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.admit = admit
}

// tested returns how many Jobs there were.
func (w *world) tested() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tests
}

// meet lets a Job meet the webhook.
func (w *world) meet(job *batchv1.Job) error {
	w.mu.Lock()
	w.tests++
	admit := w.admit
	w.mu.Unlock()
	return admit(job)
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	w := &world{
		clock: clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)), counts: counts{}, admit: stamp,
	}
	w.client = fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			job, isJob := object.(*batchv1.Job)
			if !isJob {
				return c.Create(ctx, object, options...)
			}
			if err := w.meet(job); err != nil {
				return err
			}
			return c.Create(ctx, object, options...)
		},
	}).Build()
	w.Runner = &Runner{
		Client: w.client, Events: events.New(w.client, w.clock, "test"), Metrics: w.counts, Clock: w.clock,
		Options: Options{
			Namespace: own, Configuration: "job-handler",
			Interval: time.Minute, Retry: 10 * time.Second, Patience: time.Minute,
		},
	}
	return w
}

// stamp does what the webhook does.
func stamp(job *batchv1.Job) error {
	policy.Stamp(job, time.Hour, true, policy.LeftAlone{})
	job.Annotations[api.SelfTestAnswerAnnotation] = job.Annotations[api.SelfTestAnnotation]
	return nil
}

func ignored(*batchv1.Job) error { return nil }

func configuration() *admissionv1.MutatingWebhookConfiguration {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{api.SelfTestLabel: api.True}}
	return &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "job-handler", UID: "c"},
		Webhooks:   []admissionv1.MutatingWebhook{{}, {ObjectSelector: selector}},
	}
}

// testAfter tests again when some time has passed, and returns what it logs.
func (w *world) testAfter(t *testing.T, passed time.Duration) []string {
	t.Helper()
	w.clock.Step(passed)
	w.lines = nil
	logger := funcr.New(func(_, line string) { w.lines = append(w.lines, line) }, funcr.Options{})
	w.test(ctrl.LoggerInto(t.Context(), logger))
	return w.lines
}

func (w *world) events(t *testing.T) []eventsv1.Event {
	t.Helper()
	list := &eventsv1.EventList{}
	if err := w.client.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// counts are how often a self-test ended with each result.
type counts map[Result]int

// Tested implements Metrics.
func (c counts) Tested(result Result, _ time.Time) { c[result]++ }

// Only what a test says about stamping is passed on.
func TestPassedOn(t *testing.T) {
	w := newWorld(t, configuration())
	var found []bool
	w.Found = func(stamped bool) { found = append(found, stamped) }
	refused := func(*batchv1.Job) error {
		return apierrors.NewForbidden(batchv1.Resource("jobs"), "probe", errors.New("no"))
	}
	unanswered := func(*batchv1.Job) error { return context.DeadlineExceeded }
	for _, admit := range []func(*batchv1.Job) error{stamp, ignored, refused, unanswered, ignored, stamp} {
		w.admitBy(admit)
		w.testAfter(t, time.Minute)
	}
	if diff := cmp.Diff([]bool{true, false, false, true}, found); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What is told, step by step, of a webhook that goes and comes back.
func TestTold(t *testing.T) {
	w := newWorld(t, configuration())
	for i, step := range []struct {
		passed        time.Duration
		admit         func(*batchv1.Job) error
		lines, events int
	}{
		{0, ignored, 0, 0},                // once is nothing
		{10 * time.Second, stamp, 1, 0},   // works
		{time.Minute, stamp, 0, 0},        // still
		{time.Minute, ignored, 0, 0},      // once is nothing
		{10 * time.Second, ignored, 1, 0}, // twice is told
		{59 * time.Second, ignored, 0, 0}, // known
		{time.Second, ignored, 0, 1},      // it lasts
		{58 * time.Minute, ignored, 0, 1}, // known
		{61 * time.Minute, ignored, 1, 2}, // hourly
		{10 * time.Second, stamp, 1, 2},   // works again
		{10 * time.Second, ignored, 0, 2}, // once is nothing
		{time.Minute, unreachable, 1, 2},  // another problem
		{time.Minute, unreachable, 0, 3},  // it lasts
		{10 * time.Second, stamp, 1, 3},   // works again
	} {
		w.admitBy(step.admit)
		if lines := w.testAfter(t, step.passed); len(lines) != step.lines {
			t.Errorf("step %d: logged %q", i, lines)
		}
		if got := w.events(t); len(got) != step.events {
			t.Errorf("step %d: %d Events, want %d", i, len(got), step.events)
		}
	}
	for _, event := range w.events(t) {
		got := fmt.Sprintf("%s %s %s %s", event.Type, event.Reason, event.Action, event.Regarding.Kind)
		if got != "Warning WebhookSelfTest ServeWebhook MutatingWebhookConfiguration" || !strings.Contains(event.Note, ". To do: ") {
			t.Errorf("Event %s: %s", got, event.Note)
		}
	}
}

func unreachable(*batchv1.Job) error {
	return errors.New("read tcp 10.0.0.1:12345: connection refused")
}

// Each way in which a test can end: what is measured, and the start of what is told.
func TestFound(t *testing.T) {
	jobs := batchv1.Resource("jobs")
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: own, UID: "n"}}
	elsewhere := configuration()
	elsewhere.Webhooks = elsewhere.Webhooks[:1]
	for name, tc := range map[string]struct {
		objects []client.Object
		admit   func(*batchv1.Job) error
		result  string
		about   string
		text    string
	}{
		"not sent": {
			[]client.Object{configuration(), namespace},
			ignored, "unstamped", "MutatingWebhookConfiguration",
			"Jobs are not stamped when they are created",
		},
		"no configuration":    {[]client.Object{namespace}, ignored, "unstamped", "Namespace", "Jobs are not stamped when they are created"},
		"nothing to write on": {nil, ignored, "unstamped", "", "Jobs are not stamped when they are created"},
		"an older configuration": {
			[]client.Object{elsewhere},
			ignored, "unstamped", "MutatingWebhookConfiguration",
			"the mutating webhook configuration job-handler does not send the self-test",
		},
		"stamped by something else": {[]client.Object{configuration()}, func(job *batchv1.Job) error {
			policy.Stamp(job, time.Hour, true, policy.LeftAlone{})
			return nil
		}, "unstamped", "MutatingWebhookConfiguration", "Jobs are not stamped when they are created"},
		"an earlier answer": {[]client.Object{configuration()}, func(job *batchv1.Job) error {
			policy.Stamp(job, time.Hour, true, policy.LeftAlone{})
			job.Annotations[api.SelfTestAnswerAnnotation] = "earlier"
			return nil
		}, "unstamped", "MutatingWebhookConfiguration", "Jobs are not stamped when they are created"},
		"the stamp taken off": {[]client.Object{configuration()}, func(job *batchv1.Job) error {
			_ = stamp(job)
			job.Labels, job.Spec.Template.Labels, job.Spec.TTLSecondsAfterFinished = nil, nil, nil
			delete(job.Annotations, api.ResultsNameAnnotation)
			delete(job.Annotations, api.TTLAnnotation)
			return nil
		}, "unstamped", "MutatingWebhookConfiguration", "Jobs do not keep the stamp that the webhook gives them: missing is " +
			"the label job-handler/enabled, the pod template's label job-handler/enabled, the annotation job-handler/results-name, " +
			"the annotation job-handler/ttl-seconds-after-finished, a raised ttlSecondsAfterFinished"},
		"forbidden": {[]client.Object{configuration()}, func(*batchv1.Job) error {
			return apierrors.NewForbidden(jobs, probeName, errors.New("no"))
		}, "refused", "MutatingWebhookConfiguration", "the self-test cannot run: the API server refuses its Job"},
		"throttled": {[]client.Object{configuration()}, func(*batchv1.Job) error {
			return apierrors.NewTooManyRequests("later", 1)
		}, "unanswered", "MutatingWebhookConfiguration", "the self-test cannot run: the API server did not answer: later"},
		"another webhook fails": {[]client.Object{configuration()}, func(*batchv1.Job) error {
			return apierrors.NewInternalError(errors.New("failed calling webhook"))
		}, "unanswered", "MutatingWebhookConfiguration", "the self-test cannot run: the API server did not answer: Internal error"},
		"no connection": {
			[]client.Object{configuration()},
			unreachable, "unanswered", "MutatingWebhookConfiguration",
			"the self-test cannot run: the API server did not answer: it cannot be reached",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.objects...)
			w.admitBy(tc.admit)
			w.testAfter(t, 0)
			w.testAfter(t, 10*time.Second)
			w.testAfter(t, time.Minute)
			if diff := cmp.Diff(counts{Result(tc.result): 3}, w.counts); diff != "" {
				t.Errorf("metrics: -want +got\n%s", diff)
			}
			var about []string
			for _, event := range w.events(t) {
				about = append(about, event.Regarding.Kind)
				if !strings.HasPrefix(event.Note, tc.text) || strings.HasSuffix(event.Note, "…") {
					t.Errorf("Event: %s", event.Note)
				}
			}
			if strings.Join(about, " ") != tc.about {
				t.Errorf("Events about %q", about)
			}
		})
	}
}

// Tests come at the interval, sooner while they fail; what ends is not counted.
func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Clock = clock.RealClock{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Start(ctx) }()
		<-time.After(150 * time.Second)
		synctest.Wait()
		if w.tested() != 3 {
			t.Errorf("%d tests in 150 s", w.tested())
		}
		w.admitBy(ignored)
		<-time.After(60 * time.Second)
		synctest.Wait()
		if w.tested() != 3+1+3 {
			t.Errorf("%d tests 60 s later, of which 30 with failures", w.tested())
		}
		w.admitBy(func(*batchv1.Job) error {
			cancel()
			return context.Canceled
		})
		if err := <-done; err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(counts{Stamped: 3, Unstamped: 4}, w.counts); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

// Somebody who waits gets the answer, or what is wrong and what to do.
func TestOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		admit func(test int) func(*batchv1.Job) error
		tests int
		want  string
	}{
		"stamped": {func(int) func(*batchv1.Job) error { return stamp }, 1, ""},
		"stamped after a while": {func(test int) func(*batchv1.Job) error {
			if test < 4 {
				return ignored
			}
			return stamp
		}, 4, ""},
		"never": {
			func(int) func(*batchv1.Job) error { return ignored }, 5,
			"Jobs are not stamped when they are created: the API server got no answer from the webhook. To do: see whether",
		},
		"no connection at last": {func(test int) func(*batchv1.Job) error {
			if test < 3 {
				return ignored
			}
			return unreachable
		}, 5, "the self-test cannot run: the API server did not answer: it cannot be reached, or took too long. To do: if this persists"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, tests := newWorld(t, configuration()), 0
				w.admitBy(func(job *batchv1.Job) error {
					tests++
					return tc.admit(tests)(job)
				})
				once := Once{Client: w.client, Namespace: own, Configuration: "job-handler"}
				err := once.Run(t.Context(), 4500*time.Millisecond)
				if tests != tc.tests {
					t.Errorf("%d tests, want %d", tests, tc.tests)
				}
				if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
					t.Errorf("got %v\nwant %s…", err, tc.want)
				}
				if got := w.events(t); len(got) > 0 {
					t.Errorf("Events: %v", got)
				}
			})
		})
	}
}

// Who is interrupted learns that, and nothing about stamping.
func TestOnceInterrupted(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.admitBy(func(*batchv1.Job) error {
		cancel()
		return context.Canceled
	})
	once := Once{Client: w.client, Namespace: own, Configuration: "job-handler"}
	if err := once.Run(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
