package events

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/job-handler/job-handler/internal/api"
)

// Each step says what is wrong some time later, and what is told of it.
func TestLasting(t *testing.T) {
	fakes := newServer(scheme.Scheme)
	var lines []string
	lasting := &Lasting{
		Events: fakes.Recorder, Clock: fakes.clock, Patience: time.Minute,
		Reason: api.ReasonWebhookSelfTest, Action: api.ActionServe, ClassPrefix: "prefix",
		Log: func(_ context.Context, p Problem) { lines = append(lines, p.Text) },
	}
	about := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", UID: "u"}}
	a, b := Problem{Class: "a", Text: "a is wrong", Remedy: "mend a", About: about}, Problem{Class: "b", Text: "b is wrong"}
	changed := a
	changed.Text = "a is worse"
	for i, step := range []struct {
		passed    time.Duration
		problems  []Problem
		lines     []string
		events    int
		recovered bool
	}{
		{0, nil, nil, 0, true},
		{0, nil, nil, 0, false},
		{0, []Problem{a}, []string{"a is wrong"}, 0, false},
		{59 * time.Second, []Problem{a}, nil, 0, false},
		{time.Second, []Problem{a, b}, []string{"b is wrong"}, 1, false},
		{time.Second, []Problem{changed, b}, []string{"a is worse"}, 1, false},
		{time.Hour, []Problem{changed, b}, []string{"a is worse", "b is wrong"}, 2, false},
		{0, nil, nil, 2, true},
		{0, []Problem{a}, []string{"a is wrong"}, 2, false},
	} {
		fakes.clock.SetTime(fakes.clock.Now().Add(step.passed))
		lines = nil
		recovered := lasting.Tell(t.Context(), step.problems)
		if diff := cmp.Diff(step.lines, lines); diff != "" || recovered != step.recovered || fakes.creations != step.events {
			t.Errorf("step %d: %d Events, recovered %t, lines -want +got\n%s", i, fakes.creations, recovered, diff)
		}
	}
}

// An Event that cannot be written is tried again, and holds nothing up.
func TestLastingEventRefused(t *testing.T) {
	fakes := newServer(scheme.Scheme)
	fakes.refuse = errors.New("away")
	lasting := &Lasting{Events: fakes.Recorder, Clock: fakes.clock, Log: func(context.Context, Problem) {}}
	problem := Problem{Class: "a", Text: "a", About: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", UID: "u"}}}
	for range 2 {
		lasting.Tell(t.Context(), []Problem{problem})
	}
	fakes.refuse = nil
	for range 2 {
		lasting.Tell(t.Context(), []Problem{problem})
	}
	if fakes.creations != 3 {
		t.Errorf("tried %d times, want 2 and once more", fakes.creations)
	}
}
