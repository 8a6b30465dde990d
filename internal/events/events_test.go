package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/names"
)

var (
	onTheHour = time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)
	start     = onTheHour.Add(20*time.Minute + 123456*time.Microsecond)
)

// server is an API server, a clock and a Recorder in front of them.
type server struct {
	*Recorder

	clock *clocktesting.FakePassiveClock
	// refuse is what the next creations are answered with, nil: they succeed.
	refuse error
	// creations counts requests, whatever came of them.
	creations int
}

func newServer(s *runtime.Scheme) *server {
	fakes := &server{clock: clocktesting.NewFakePassiveClock(start)}
	c := fake.NewClientBuilder().WithScheme(s).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			fakes.creations++
			if fakes.refuse != nil {
				return fakes.refuse
			}
			return c.Create(ctx, object, options...)
		},
	}).Build()
	fakes.Recorder = New(c, fakes.clock, "job-handler-pod-1")
	return fakes
}

// stored returns every Event that the server has.
func (s *server) stored(t *testing.T) []eventsv1.Event {
	t.Helper()
	var list eventsv1.EventList
	if err := s.client.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func theJob() *batchv1.Job {
	job := jobtest.MakeJob("team", "report").UID("job-uid").Obj()
	job.ResourceVersion = "42"
	// As a client returns it.
	job.TypeMeta = metav1.TypeMeta{}
	return job
}

func theNamespace() *metav1.PartialObjectMetadata {
	namespace := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "team", UID: "namespace-uid", ResourceVersion: "7"}}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return namespace
}

var outcome = Notice{Type: corev1.EventTypeNormal, Action: api.ActionStore, Class: "outcome", Note: "Job completed"}

func TestSend(t *testing.T) {
	for name, test := range map[string]struct {
		about client.Object
		want  eventsv1.Event
	}{
		"a Job": {theJob(), eventsv1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: names.Event("report", "job-uid", "outcome")},
			Regarding: corev1.ObjectReference{
				APIVersion: "batch/v1", Kind: "Job", Namespace: "team", Name: "report", UID: "job-uid", ResourceVersion: "42",
			},
		}},
		"a Namespace, which is in none": {theNamespace(), eventsv1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: names.Event("team", "namespace-uid", "outcome")},
			Regarding: corev1.ObjectReference{
				APIVersion: "v1", Kind: "Namespace", Name: "team", UID: "namespace-uid", ResourceVersion: "7",
			},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(scheme.Scheme)
			if err := s.Send(t.Context(), test.about, outcome); err != nil {
				t.Fatal(err)
			}
			test.want.EventTime = metav1.NewMicroTime(start)
			test.want.ReportingController, test.want.ReportingInstance = "job-handler", "job-handler-pod-1"
			test.want.Type, test.want.Reason, test.want.Action, test.want.Note = "Normal", "JobProcessing", "StoreResults", "Job completed"
			ignored := cmpopts.IgnoreFields(metav1.ObjectMeta{}, "ResourceVersion")
			if diff := cmp.Diff([]eventsv1.Event{test.want}, s.stored(t), ignored, cmpopts.IgnoreTypes(metav1.TypeMeta{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Who writes the same Event again, after a crash or in another process, finds
// it there and is content.
func TestSendTwice(t *testing.T) {
	s := newServer(scheme.Scheme)
	for range 2 {
		s.clock.SetTime(s.clock.Now().Add(time.Minute))
		if err := s.Send(t.Context(), theJob(), outcome); err != nil {
			t.Fatal(err)
		}
	}
	events := s.stored(t)
	if len(events) != 1 || s.creations != 2 {
		t.Fatalf("%d creations left %d Events", s.creations, len(events))
	}
	if got := events[0].EventTime.Time; !got.Equal(start.Add(time.Minute)) {
		t.Errorf("the first Event was replaced by that of %s", got)
	}
}

func TestSendTellsApart(t *testing.T) {
	again := theJob()
	again.UID = "next-uid"
	other := outcome
	other.Class = "capture"
	s := newServer(scheme.Scheme)
	for _, send := range []struct {
		about  client.Object
		notice Notice
	}{{theJob(), outcome}, {theJob(), other}, {again, outcome}, {again, other}} {
		if err := s.Send(t.Context(), send.about, send.notice); err != nil {
			t.Fatal(err)
		}
	}
	if events := s.stored(t); len(events) != 4 {
		t.Errorf("got %d Events, want one for each run and class", len(events))
	}
}

func TestSendFails(t *testing.T) {
	forbidden := apierrors.NewForbidden(eventsv1.Resource("events"), "x", errors.New("no rights"))
	s := newServer(scheme.Scheme)
	s.refuse = forbidden
	err := s.Send(t.Context(), theJob(), outcome)
	if !apierrors.IsForbidden(err) {
		t.Fatalf("got %v, want what the server answered", err)
	}
	if want := "writing event team/" + names.Event("report", "job-uid", "outcome") + ": " + forbidden.Error(); err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestSendAboutUnknownKind(t *testing.T) {
	onlyEvents := runtime.NewScheme()
	if err := eventsv1.AddToScheme(onlyEvents); err != nil {
		t.Fatal(err)
	}
	s := newServer(onlyEvents)
	err := s.Send(t.Context(), theJob(), outcome)
	cause := errors.Unwrap(err)
	if !runtime.IsNotRegisteredError(cause) {
		t.Fatalf("got %v, want the cause in it", err)
	}
	if want := "finding the kind of report: " + cause.Error(); err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if err := s.Warn(t.Context(), theJob(), "class", "note"); err == nil {
		t.Error("warning of it succeeded")
	}
	if s.creations != 0 {
		t.Errorf("%d creations", s.creations)
	}
}

func TestWarn(t *testing.T) {
	s := newServer(scheme.Scheme)
	if err := s.Warn(t.Context(), theJob(), "refused/quota", "exceeded quota"); err != nil {
		t.Fatal(err)
	}
	events := s.stored(t)
	if len(events) != 1 {
		t.Fatalf("got %d Events", len(events))
	}
	got := Notice{Type: events[0].Type, Action: events[0].Action, Note: events[0].Note}
	if diff := cmp.Diff(Notice{Type: "Warning", Action: "HandleJob", Note: "exceeded quota"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if want := names.Event("report", "job-uid", fmt.Sprintf("refused/quota/%d", onTheHour.Unix())); events[0].Name != want {
		t.Errorf("got name %q, want %q", events[0].Name, want)
	}
}

func TestWarnAtMostHourly(t *testing.T) {
	again := theJob()
	again.UID = "next-uid"
	for name, test := range map[string]struct {
		about client.Object
		class string
		later time.Duration
		want  int
	}{
		"at once":                {theJob(), "logs", 0, 1},
		"just under an hour":     {theJob(), "logs", time.Hour - 1, 1},
		"an hour":                {theJob(), "logs", time.Hour, 2},
		"a day":                  {theJob(), "logs", 24 * time.Hour, 2},
		"the clock set back":     {theJob(), "logs", -24 * time.Hour, 1},
		"another class":          {theJob(), "quota", 0, 2},
		"another run of the Job": {again, "logs", 0, 2},
		"another kind of object": {theNamespace(), "logs", 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(scheme.Scheme)
			if err := s.Warn(t.Context(), theJob(), "logs", "first"); err != nil {
				t.Fatal(err)
			}
			s.clock.SetTime(start.Add(test.later))
			for range 3 {
				if err := s.Warn(t.Context(), test.about, test.class, "again"); err != nil {
					t.Fatal(err)
				}
			}
			if s.creations != test.want {
				t.Errorf("%d creations, want %d", s.creations, test.want)
			}
			// The Event of an hour ago, which may still be there, hides nothing.
			if events := s.stored(t); len(events) != test.want {
				t.Errorf("%d Events, want %d", len(events), test.want)
			}
		})
	}
}

// The next process, which remembers nothing, does not repeat what was told in
// this hour of the day.
func TestWarnAfterRestart(t *testing.T) {
	for name, test := range map[string]struct {
		later time.Duration
		want  int
	}{
		"at once":               {0, 1},
		"within the hour":       {39 * time.Minute, 1},
		"after the hour struck": {40 * time.Minute, 2},
		"an hour later":         {time.Hour, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(scheme.Scheme)
			for range 2 {
				if err := s.Warn(t.Context(), theJob(), "logs", "note"); err != nil {
					t.Fatal(err)
				}
				s.clock.SetTime(start.Add(test.later))
				s.Recorder = New(s.client, s.clock, "job-handler-pod-2")
			}
			if events := s.stored(t); len(events) != test.want {
				t.Errorf("%d Events, want %d", len(events), test.want)
			}
		})
	}
}

// The hour counts from the last warning, not from the first.
func TestWarnEveryHour(t *testing.T) {
	s := newServer(scheme.Scheme)
	for range 5 * 60 {
		if err := s.Warn(t.Context(), theJob(), "logs", "note"); err != nil {
			t.Fatal(err)
		}
		s.clock.SetTime(s.clock.Now().Add(time.Minute))
	}
	if events := s.stored(t); s.creations != 5 || len(events) != 5 {
		t.Errorf("%d creations and %d Events in five hours", s.creations, len(events))
	}
}

func TestWarnFails(t *testing.T) {
	s := newServer(scheme.Scheme)
	s.refuse = apierrors.NewServiceUnavailable("away")
	if err := s.Warn(t.Context(), theJob(), "logs", "note"); !apierrors.IsServiceUnavailable(err) {
		t.Fatalf("got %v, want what the server answered", err)
	}
	s.refuse = nil
	if err := s.Warn(t.Context(), theJob(), "logs", "note"); err != nil {
		t.Fatal(err)
	}
	if events := s.stored(t); len(events) != 1 {
		t.Errorf("got %d Events: a warning that failed counts as sent", len(events))
	}
}

func TestNoteIsTruncated(t *testing.T) {
	// 1,020 bytes, so that what follows is at the limit.
	long := strings.Repeat("a", 1020)
	for name, test := range map[string]struct{ note, want string }{
		"empty":                       {"", ""},
		"one byte under":              {long + "bcd", long + "bcd"},
		"just fits":                   {long + "bcde", long + "bcde"},
		"one byte over":               {long + "bcdef", long + "b…"},
		"far over":                    {strings.Repeat("a", 1<<20), long + "a…"},
		"two bytes that fit":          {long + "bcü", long + "bcü"},
		"two bytes at the border":     {long[:1019] + "bücd.", long[:1019] + "b…"},
		"two bytes before the border": {long[:1019] + "übcde", long[:1019] + "ü…"},
		"four bytes over the border":  {long[:1018] + "😀😀", long[:1018] + "…"},
		"three bytes that fit":        {long + "b…", long + "b…"},
		"three bytes, one too many":   {long + "bc…", long + "b…"},
		"nothing but long characters": {strings.Repeat("😀", 257), strings.Repeat("😀", 255) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(scheme.Scheme)
			notice := outcome
			notice.Note = test.note
			if err := s.Send(t.Context(), theJob(), notice); err != nil {
				t.Fatal(err)
			}
			got := s.stored(t)[0].Note
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if len(got) > 1024 {
				t.Errorf("%d bytes", len(got))
			}
		})
	}
}

func TestTruncate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, length := rapid.String().Draw(t, "text"), rapid.IntRange(3, 40).Draw(t, "length")
		got := truncate(text, length)
		if len(got) > length {
			t.Fatalf("%q has %d bytes", got, len(got))
		}
		if !utf8.ValidString(got) {
			t.Fatalf("%q is cut within a character", got)
		}
		if len(text) <= length {
			if got != text {
				t.Fatalf("got %q, though it fits", got)
			}
			return
		}
		start, cut := strings.CutSuffix(got, "…")
		if !cut || !strings.HasPrefix(text, start) {
			t.Fatalf("got %q, want a start of the text and an ellipsis", got)
		}
		_, next := utf8.DecodeRuneInString(text[len(start):])
		if len(start)+next+len("…") <= length {
			t.Fatalf("%q leaves out a character that fits", got)
		}
	})
}
