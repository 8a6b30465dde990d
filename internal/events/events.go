// Package events sends Kubernetes Events about Jobs and the webhook, and lists the
// Warning Events of a namespace. The name of an Event is made from what it is about,
// so that writing it twice leaves one, whichever process writes it. No Event
// contains text of a log. Lasting problems are also logged. The package must not
// import controllers.
package events

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/names"
)

const (
	// The API server takes notes of at most 1,024 bytes.
	maxNote = 1024
	// A warning about the same object and class is sent once in this time.
	warnEvery = time.Hour
	// How many objects and classes are remembered for it.
	rememberedWarnings = 16_384
)

// Recorder writes Events. The zero value is of no use; New makes one.
type Recorder struct {
	client   client.Client
	clock    clock.PassiveClock
	instance string
	warned   *lru.Cache
}

// New returns a Recorder that writes with c. The instance, at most 128 bytes,
// names the process in the Events.
func New(c client.Client, clk clock.PassiveClock, instance string) *Recorder {
	return &Recorder{client: c, clock: clk, instance: instance, warned: lru.New(rememberedWarnings)}
}

// Notice is what an Event says.
type Notice struct {
	// Type is corev1.EventTypeNormal or corev1.EventTypeWarning.
	Type string
	// Reason is one of the reasons in package api; empty is ReasonJobProcessing.
	Reason string
	// Action is one of the actions in package api.
	Action string
	// Class tells Events about one object apart; the same class is the same Event.
	Class string
	// Note is made readable text on one line, and cut at 1,024 bytes.
	Note string
}

// Send writes the Event that notice describes. It succeeds if the same Event
// was written before.
func (r *Recorder) Send(ctx context.Context, about client.Object, notice Notice) error {
	event, err := r.event(about, notice)
	if err != nil {
		return err
	}
	if err := r.client.Create(ctx, event); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("writing event %s/%s: %w", event.Namespace, event.Name, err)
	}
	return nil
}

// Warn writes a Warning Event, at most one an hour for the same object and
// class.
func (r *Recorder) Warn(ctx context.Context, about client.Object, class, note string) error {
	return r.WarnOf(ctx, about, Notice{Action: api.ActionHandle, Class: class, Note: note})
}

// TryWarn is Warn for what nothing waits for: Events may be refused for the very cause
// that the Warning tells. An error is logged.
func (r *Recorder) TryWarn(ctx context.Context, about client.Object, class, note string) {
	if err := r.Warn(ctx, about, class, note); err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("warning not sent", "class", class, "cause", err.Error())
	}
}

// WarnOf is Warn for what is not about storing results. The type of notice is
// always Warning, and an Event of its class is written once an hour.
func (r *Recorder) WarnOf(ctx context.Context, about client.Object, notice Notice) error {
	key := string(about.GetUID()) + "/" + notice.Class
	now := r.clock.Now()
	remembered, _ := r.warned.Get(key)
	if last, warned := remembered.(time.Time); warned && now.Sub(last) < warnEvery {
		return nil
	}
	// The Event of the last time may still be there, so this one is another.
	notice.Type = corev1.EventTypeWarning
	notice.Class = fmt.Sprintf("%s/%d", notice.Class, now.Truncate(warnEvery).Unix())
	if err := r.Send(ctx, about, notice); err != nil {
		return err
	}
	r.warned.Add(key, now)
	return nil
}

func (r *Recorder) event(about client.Object, notice Notice) (*eventsv1.Event, error) {
	kind, err := apiutil.GVKForObject(about, r.client.Scheme())
	if err != nil {
		return nil, fmt.Errorf("finding the kind of %s: %w", about.GetName(), err)
	}
	namespace := about.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	reason := notice.Reason
	if reason == "" {
		reason = api.ReasonJobProcessing
	}
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      names.Event(about.GetName(), string(about.GetUID()), notice.Class),
		},
		EventTime:           metav1.NewMicroTime(r.clock.Now()),
		ReportingController: api.ManagerName,
		ReportingInstance:   r.instance,
		Action:              notice.Action,
		Reason:              reason,
		Type:                notice.Type,
		Note:                truncate(readable(notice.Note), maxNote),
		Regarding: corev1.ObjectReference{
			APIVersion: kind.GroupVersion().String(), Kind: kind.Kind,
			Namespace: about.GetNamespace(), Name: about.GetName(), UID: about.GetUID(),
			ResourceVersion: about.GetResourceVersion(),
		},
	}, nil
}

// readable returns s on one line, with everything visible that could steer the
// terminal of those who read Events: it may quote what a user wrote.
func readable(s string) string { return logtext.Line(s, 8*len(s)) }

// truncate cuts s to at most length bytes, between characters.
func truncate(s string, length int) string {
	const ellipsis = "…"
	if len(s) <= length {
		return s
	}
	cut := 0
	for i := range s {
		if i > length-len(ellipsis) {
			break
		}
		cut = i
	}
	return s[:cut] + ellipsis
}
