package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/why"
)

const (
	// warningsFor is for how long Jobs of a namespace share a list of its Events.
	warningsFor = 2 * time.Second
	// listTime is how long a list may take: the results are stored without Events
	// rather than late.
	listTime = 10 * time.Second
	// listsAtOnce is how many namespaces are listed at once. API servers have neither
	// a cache nor an index of Events.
	listsAtOnce = 2
	// callersAtOnce is how many callers of TryAbout wait for a list at once.
	callersAtOnce = 16
	// failedFor is for how long a namespace is not listed again of which a list failed:
	// one with very many Events must not hold up Jobs of others.
	failedFor = time.Minute
	// warningsBytes bounds what is kept of one list for Jobs that have not asked yet.
	warningsBytes = 2 << 20
	// mostWanted is of how many objects Events are kept for Jobs that were told to ask
	// again.
	mostWanted = 4096
	// eventsOfOne is how many Events about one object are looked at.
	eventsOfOne = 2 * why.MaxEvents
	// eventBytes is the size of a usual Event; firstEvents is how many the first page
	// has, which is all of most namespaces.
	eventBytes  = 1 << 10
	firstEvents = 250
)

// ErrBusy is returned by TryAbout while as many callers wait as may.
var ErrBusy = errors.New("too many Jobs wait for Events")

// Metrics count lists of Events.
type Metrics interface {
	// ListedEvents counts a list that ended, with an error or without.
	ListedEvents(err error)
}

// Warnings reads the Warning Events of Jobs and pods. API servers keep no index of
// Events by object, so that a namespace is listed whole: its Jobs that fail within 2
// seconds share a list. It is safe for concurrent use; make one with NewWarnings.
type Warnings struct {
	lister  pager.Lister
	clock   clock.WithDelayedExecution
	metrics Metrics
	// turns has an element for each list that is at work, callers one for each caller
	// of TryAbout.
	turns, callers chan struct{}

	mu    sync.Mutex
	lists map[string]*warningList
}

// warningList is a list of the Events of one namespace.
type warningList struct {
	// begun is when the first Job asked for it; it is not read before notBefore.
	begun, notBefore time.Time
	// wanted are the objects of which Jobs ask that joined before the list was read;
	// reading is true from then on. claimed is true once somebody is to read it.
	wanted           sets.Set[types.UID]
	claimed, reading bool
	done             chan struct{}

	// The rest may be read once done is closed.
	byUID map[types.UID][]why.Event
	// full is true if Events about objects that were not wanted were left out.
	full bool
	err  error
	// failed is true if the namespace is not to be listed again for a while.
	failed bool
}

// NewWarnings returns Warnings that list with lister. Metrics may be nil.
func NewWarnings(lister pager.Lister, clk clock.WithDelayedExecution, metrics Metrics) *Warnings {
	return &Warnings{
		lister: lister, clock: clk, metrics: metrics, lists: map[string]*warningList{},
		turns: make(chan struct{}, listsAtOnce), callers: make(chan struct{}, callersAtOnce),
	}
}

// TryAbout is About, but returns ErrBusy at once while too many others wait.
func (w *Warnings) TryAbout(ctx context.Context, namespace string, uids sets.Set[types.UID]) ([]why.Event, error) {
	if w == nil {
		return nil, nil
	}
	select {
	case w.callers <- struct{}{}:
		defer func() { <-w.callers }()
		return w.About(ctx, namespace, uids)
	default:
		w.want(namespace, uids)
		return nil, ErrBusy
	}
}

// want has the next list of the namespace, if there will be one soon, keep the Events
// of these objects for Jobs that ask again.
func (w *Warnings) want(namespace string, uids sets.Set[types.UID]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if list := w.lists[namespace]; list != nil && !list.reading && list.wanted.Len() < mostWanted {
		list.wanted = list.wanted.Union(uids)
	}
}

// About returns the Warning Events about the objects with these UIDs in the namespace,
// as why.Merge leaves them. Events that were written within the last 2 seconds may be
// missing. It takes 10 seconds at most; where that is not enough, it fails at once for
// a minute. A nil *Warnings has none.
func (w *Warnings) About(ctx context.Context, namespace string, uids sets.Set[types.UID]) ([]why.Event, error) {
	if w == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	for {
		list, first, counted := w.join(namespace, uids)
		if first {
			w.fill(ctx, namespace, list)
		}
		select {
		case <-list.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("listing the Warning Events of namespace %s: %w", namespace, ctx.Err())
		}
		switch {
		case list.err != nil:
			return nil, fmt.Errorf("listing the Warning Events of namespace %s: %w", namespace, list.err)
		case list.full && !counted:
			w.drop(namespace, list)
		default:
			return list.about(uids), nil
		}
	}
}

func (l *warningList) about(uids sets.Set[types.UID]) []why.Event {
	var found []why.Event
	for uid := range uids {
		found = append(found, l.byUID[uid]...)
	}
	return why.Merge(found)
}

// join returns the list of the namespace that is shared now. first: it is new, and the
// caller is to fill it. counted: the objects were noted before it was read.
func (w *Warnings) join(namespace string, uids sets.Set[types.UID]) (list *warningList, first, counted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	for of, list := range w.lists {
		if list.isDone() && now.Sub(list.begun) >= list.lasts() {
			delete(w.lists, of)
		}
	}
	if list = w.lists[namespace]; list == nil {
		list = newWarningList(now)
		w.lists[namespace] = list
	}
	first, list.claimed = !list.claimed, true
	if counted = !list.reading || list.wanted.IsSuperset(uids); !list.reading {
		list.wanted = list.wanted.Union(uids)
	}
	return list, first, counted
}

// lasts returns for how long the list, which is done, is shared.
func (l *warningList) lasts() time.Duration {
	if l.failed {
		return failedFor
	}
	return warningsFor
}

func (l *warningList) isDone() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// drop has the namespace be listed again, as soon as the list would have been shared no
// longer: once for all Jobs that ask until then.
func (w *Warnings) drop(namespace string, list *warningList) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lists[namespace] == list {
		next := newWarningList(w.clock.Now())
		next.notBefore = list.begun.Add(warningsFor)
		w.lists[namespace] = next
	}
}

func newWarningList(begun time.Time) *warningList {
	return &warningList{begun: begun, wanted: sets.New[types.UID](), done: make(chan struct{})}
}

// fill reads the list when its turn comes.
func (w *Warnings) fill(ctx context.Context, namespace string, list *warningList) {
	defer close(list.done)
	if list.err = w.awaitTurn(ctx, list); list.err != nil {
		return
	}
	defer func() { <-w.turns }()
	w.mu.Lock()
	list.reading, list.begun = true, w.clock.Now()
	w.mu.Unlock()
	if list.err = w.read(ctx, namespace, list); list.err != nil {
		list.byUID = nil
		// One that had little time left, since it waited for its turn, tells nothing about
		// its namespace.
		list.failed = ctx.Err() == nil || w.clock.Since(list.begun) >= listTime/2
	}
	if w.metrics != nil {
		w.metrics.ListedEvents(list.err)
	}
}

// awaitTurn waits until the list may be read. The error is that ctx ended.
func (w *Warnings) awaitTurn(ctx context.Context, list *warningList) error {
	if wait := list.notBefore.Sub(w.clock.Now()); wait > 0 {
		select {
		case <-w.clock.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case w.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// +kubebuilder:rbac:groups="",resources=events,verbs=list

// read lists the Warning Events of the namespace: all that are wanted, and others as
// far as there is room, for Jobs that ask within 2 seconds.
func (w *Warnings) read(ctx context.Context, namespace string, list *warningList) error {
	list.byUID = map[types.UID][]why.Event{}
	room := warningsBytes
	return w.lister.Each(ctx, pager.Query{
		List: &corev1.EventList{}, ObjectBytes: eventBytes, Expect: firstEvents,
		Options: client.ListOptions{
			Namespace: namespace, FieldSelector: fields.OneTermEqualSelector("type", corev1.EventTypeWarning),
		},
	}, func(object client.Object) error {
		event, isEvent := object.(*corev1.Event)
		if !isEvent || !aboutJobs(event) {
			return nil
		}
		told := warning(event)
		if len(list.byUID[told.UID]) >= eventsOfOne {
			return nil
		}
		if !list.wanted.Has(told.UID) {
			if room -= sizeOf(told); room < 0 {
				list.full = true
				return nil
			}
		}
		list.byUID[told.UID] = append(list.byUID[told.UID], told)
		return nil
	})
}

// aboutJobs reports whether an Event is about a Job or a pod, and not of ours.
func aboutJobs(event *corev1.Event) bool {
	kind := event.InvolvedObject.Kind
	return (kind == "Job" || kind == "Pod") && event.InvolvedObject.UID != "" && event.ReportingController != api.ManagerName
}

// warning returns what is kept of an Event. Newer ones have a series or an event time,
// older ones a count.
func warning(event *corev1.Event) why.Event {
	about := &event.InvolvedObject
	told := why.Event{
		UID: about.UID, Kind: about.Kind, Name: truncate(about.Name, why.MaxEventName),
		Reason: truncate(event.Reason, why.MaxEventName), Message: truncate(event.Message, why.MaxEventMessage),
		Count: int(event.Count), First: event.FirstTimestamp.Time, Last: event.LastTimestamp.Time,
	}
	if told.First.IsZero() {
		told.First = event.EventTime.Time
	}
	if series := event.Series; series != nil {
		told.Count = int(series.Count)
		told.Last = series.LastObservedTime.Time
	}
	if told.First.IsZero() {
		told.First = event.CreationTimestamp.Time
	}
	if told.Last.IsZero() {
		told.Last = told.First
	}
	told.Count = max(1, told.Count)
	return told
}

// sizeOf returns about what an Event takes in memory.
func sizeOf(e why.Event) int {
	const fields = 256
	return fields + len(e.UID) + len(e.Kind) + len(e.Name) + len(e.Reason) + len(e.Message)
}
