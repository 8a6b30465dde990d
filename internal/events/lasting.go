package events

import (
	"context"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A problem that lasts is logged again after this time.
const logEvery = time.Hour

// Problem is something wrong, in words.
type Problem struct {
	// Class tells problems apart; at most one at a time has it.
	Class string
	// Text is what is wrong, Remedy what to do about it.
	Text, Remedy string
	// About is what an Event is written on; nil: it is only logged.
	About client.Object
}

// Lasting tells of what is wrong with one thing: in the log when it is new or
// other than before, and then hourly; in a Warning Event, at most hourly, if it
// lasts. It is not for concurrent use.
type Lasting struct {
	// Events writes the Events, with this Reason and Action and a class that
	// begins with ClassPrefix.
	Events         *Recorder
	Reason, Action string
	ClassPrefix    string
	Clock          clock.PassiveClock
	// Patience is how long something is wrong before an Event says so.
	Patience time.Duration
	// Log writes the line about a problem.
	Log func(context.Context, Problem)

	told map[string]telling
}

// telling is when a problem was first seen and last logged.
type telling struct {
	text          string
	since, logged time.Time
}

// Tell tells of all that is wrong now. It reports whether all is well for the
// first time, or again.
func (l *Lasting) Tell(ctx context.Context, problems []Problem) (recovered bool) {
	now := l.Clock.Now()
	told := map[string]telling{}
	for _, p := range problems {
		told[p.Class] = l.log(ctx, p, now)
		if now.Sub(told[p.Class].since) >= l.Patience && p.About != nil {
			l.warn(ctx, p)
		}
	}
	recovered = len(problems) == 0 && (len(l.told) > 0 || l.told == nil)
	l.told = told
	return recovered
}

func (l *Lasting) log(ctx context.Context, p Problem, now time.Time) telling {
	t, known := l.told[p.Class]
	if !known {
		t.since = now
	}
	if !known || t.text != p.Text || now.Sub(t.logged) >= logEvery {
		l.Log(ctx, p)
		t.text, t.logged = p.Text, now
	}
	return t
}

func (l *Lasting) warn(ctx context.Context, p Problem) {
	err := l.Events.WarnOf(ctx, p.About, Notice{
		Reason: l.Reason, Action: l.Action,
		Class: l.ClassPrefix + "/" + p.Class, Note: p.Text + ". To do: " + p.Remedy,
	})
	if err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("the Event is not written", "reason", err.Error(), "about", p.Text)
	}
}
