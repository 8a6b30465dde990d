package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/why"
)

// lists is an API server that counts lists of Events, each of which takes a while.
type lists struct {
	*Warnings

	mu     sync.Mutex
	count  map[string]int
	atOnce int
	most   int
	takes  time.Duration
	fails  error
	ended  []error
}

// ListedEvents implements Metrics.
func (l *lists) ListedEvents(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, err)
}

func newLists(stored ...client.Object) *lists {
	l := &lists{count: map[string]int{}, takes: 100 * time.Millisecond}
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(stored...).
		WithIndex(&corev1.Event{}, "type", func(o client.Object) []string { return []string{o.(*corev1.Event).Type} }).
		WithInterceptorFuncs(interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				options := (&client.ListOptions{}).ApplyOptions(opts)
				l.mu.Lock()
				l.count[options.Namespace]++
				l.atOnce++
				l.most = max(l.most, l.atOnce)
				takes, fails := l.takes, l.fails
				l.mu.Unlock()
				defer func() {
					l.mu.Lock()
					l.atOnce--
					l.mu.Unlock()
				}()
				select {
				case <-time.After(takes):
				case <-ctx.Done():
					return ctx.Err()
				}
				if fails != nil {
					return fails
				}
				return c.List(ctx, list, opts...)
			},
		}).Build()
	l.Warnings = NewWarnings(pager.Lister{Live: c}, clock.RealClock{}, l)
	return l
}

// said is an Event in the namespace team.
func said(name, kind, uid, reason string) *corev1.Event {
	at := metav1.NewTime(time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC))
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "team", Name: name},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Name: "of-" + uid, UID: types.UID(uid)},
		Type:           corev1.EventTypeWarning, Reason: reason, Message: "message of " + name, Count: 2, FirstTimestamp: at,
		LastTimestamp: metav1.NewTime(at.Add(time.Second)),
	}
}

func (l *lists) reasons(t *testing.T, namespace string, uids ...types.UID) []string {
	t.Helper()
	found, err := l.About(t.Context(), namespace, sets.New(uids...))
	if err != nil {
		t.Error(err)
	}
	var reasons []string
	for _, e := range found {
		reasons = append(reasons, e.Reason)
	}
	return reasons
}

func TestAbout(t *testing.T) {
	normal, ours := said("normal", "Pod", "p", "Pulled"), said("ours", "Job", "j", "JobProcessing")
	normal.Type, ours.ReportingController = corev1.EventTypeNormal, api.ManagerName
	series := said("series", "Pod", "p", "FailedScheduling")
	series.Count, series.FirstTimestamp, series.LastTimestamp = 0, metav1.Time{}, metav1.Time{}
	series.EventTime = metav1.NewMicroTime(time.Date(2026, 11, 5, 9, 0, 0, 0, time.UTC))
	series.Series = &corev1.EventSeries{Count: 7, LastObservedTime: metav1.NewMicroTime(time.Date(2026, 11, 5, 9, 30, 0, 0, time.UTC))}
	synctest.Test(t, func(t *testing.T) {
		l := newLists(said("mount", "Pod", "p", "FailedMount"), series, normal, ours,
			said("other", "Pod", "q", "FailedMount"), said("node", "Node", "p", "NodeNotReady"))
		found, err := l.About(t.Context(), "team", sets.New[types.UID]("p", "j"))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
		want := []why.Event{
			{
				UID: "p", Kind: "Pod", Name: "of-p", Reason: "FailedScheduling", Message: "message of series", Count: 7,
				First: at.Add(-time.Hour), Last: at.Add(-time.Hour / 2),
			},
			{UID: "p", Kind: "Pod", Name: "of-p", Reason: "FailedMount", Message: "message of mount", Count: 2, First: at, Last: at.Add(time.Second)},
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	if found, err := (*Warnings)(nil).About(t.Context(), "team", nil); found != nil || err != nil {
		t.Error(found, err)
	}
}

// TestListsAreShared has Jobs that fail together cost one list, and of other
// namespaces no more be listed at once than may be.
func TestListsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLists(said("mount", "Pod", "p", "FailedMount"))
		var all sync.WaitGroup
		for i := range 500 {
			all.Go(func() {
				<-time.After(time.Duration(i) * 3 * time.Millisecond)
				if got := l.reasons(t, "team", "p"); len(got) != 1 {
					t.Errorf("Job %d: %v", i, got)
				}
				l.reasons(t, fmt.Sprintf("other-%d", i%5))
			})
		}
		all.Wait()
		if l.count["team"] != 1 {
			t.Errorf("%d lists of one namespace", l.count["team"])
		}
		if l.most != listsAtOnce {
			t.Errorf("%d lists at once", l.most)
		}
		<-time.After(warningsFor)
		l.reasons(t, "team", "p")
		if l.count["team"] != 2 || len(l.lists) != 1 {
			t.Errorf("later: %d lists, %d kept", l.count["team"], len(l.lists))
		}
	})
}

// tooMany are more Events, each about a pod of its own, than are kept of a namespace.
func tooMany() []client.Object {
	var stored []client.Object
	for i := range 3 * warningsBytes / (eventBytes + 256) {
		e := said(fmt.Sprintf("event-%05d", i), "Pod", fmt.Sprintf("pod-%05d", i), "BackOff")
		e.Message = strings.Repeat("x", eventBytes)
		stored = append(stored, e)
	}
	return stored
}

// TestManyEvents has a Job find its Events in a namespace that has more than are kept:
// it may ask before they are listed, or after.
func TestManyEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := tooMany()
		stored = append(stored, said("last-a", "Pod", "a", "FailedMount"), said("last-b", "Pod", "b", "FailedMount"))
		l := newLists(stored...)
		if got := l.reasons(t, "team", "a"); len(got) != 1 {
			t.Errorf("first: %v", got)
		}
		pages := l.count["team"]
		if got := l.reasons(t, "team", "b"); len(got) != 1 {
			t.Errorf("second: %v", got)
		}
		if l.count["team"] != 2*pages {
			t.Errorf("%d pages, then %d", pages, l.count["team"])
		}
	})
}

// TestManyJobsOfManyEvents has Jobs that come while a list is read share the next one,
// where that list has no room for their Events.
func TestManyJobsOfManyEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := tooMany()
		l := newLists(stored...)
		l.takes = 10 * time.Millisecond
		var all sync.WaitGroup
		for i := range 500 {
			all.Go(func() {
				<-time.After(time.Duration(i) * time.Millisecond)
				uid := types.UID(fmt.Sprintf("pod-%05d", len(stored)-1-i))
				got, err := l.TryAbout(t.Context(), "team", sets.New(uid))
				for errors.Is(err, ErrBusy) {
					<-time.After(time.Second)
					got, err = l.TryAbout(t.Context(), "team", sets.New(uid))
				}
				if err != nil || len(got) != 1 {
					t.Errorf("Job %d: %v, %v", i, got, err)
				}
			})
		}
		all.Wait()
		if len(l.ended) > 3 {
			t.Errorf("%d lists", len(l.ended))
		}
	})
}

func TestListsFail(t *testing.T) {
	refused := errors.New("refused")
	for name, test := range map[string]struct {
		change func(*lists)
		want   error
	}{
		"with an error": {func(l *lists) { l.fails = refused }, refused},
		"in no time":    {func(l *lists) { l.takes = time.Hour }, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLists()
				test.change(l)
				began := time.Now()
				_, err := l.About(t.Context(), "team", sets.New[types.UID]("p"))
				if !errors.Is(err, test.want) || time.Since(began) > listTime {
					t.Errorf("%v after %v", err, time.Since(began))
				}
				if len(l.ended) != 1 || !errors.Is(l.ended[0], test.want) {
					t.Errorf("counted: %v", l.ended)
				}
				l.fails, l.takes = nil, time.Millisecond
				tried := time.Now()
				if _, err := l.About(t.Context(), "team", sets.New[types.UID]("p")); !errors.Is(err, test.want) || time.Since(tried) > 0 {
					t.Errorf("at once after that: %v", err)
				}
				l.reasons(t, "other", "p")
				<-time.After(failedFor)
				l.reasons(t, "team", "p")
			})
		})
	}
}

// TestTryAbout has Jobs not wait behind others that wait for a slow list.
func TestTryAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLists(said("mount", "Pod", "p", "FailedMount"))
		l.takes = listTime / 2
		var waiting sync.WaitGroup
		for range callersAtOnce {
			waiting.Go(func() {
				if _, err := l.TryAbout(t.Context(), "team", sets.New[types.UID]("p")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if _, err := l.TryAbout(t.Context(), "team", sets.New[types.UID]("p")); !errors.Is(err, ErrBusy) {
			t.Errorf("one more: %v", err)
		}
		waiting.Wait()
		if _, err := l.TryAbout(t.Context(), "team", sets.New[types.UID]("p")); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// TestSlowNeighbours has namespaces with slow lists cost another one its Events for no
// longer than they hold the lists up.
func TestSlowNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLists(said("mount", "Pod", "p", "FailedMount"))
		l.takes = 2 * listTime
		var slow sync.WaitGroup
		for i := range listsAtOnce {
			slow.Go(func() {
				if _, err := l.About(t.Context(), fmt.Sprintf("slow-%d", i), sets.New[types.UID]("p")); err == nil {
					t.Error("a slow list came to an end")
				}
			})
		}
		synctest.Wait()
		if _, err := l.About(t.Context(), "team", sets.New[types.UID]("p")); err == nil {
			t.Error("the list was not held up")
		}
		slow.Wait()
		l.mu.Lock()
		l.takes = time.Millisecond
		l.mu.Unlock()
		<-time.After(warningsFor)
		if got := l.reasons(t, "team", "p"); len(got) != 1 {
			t.Errorf("afterwards: %v", got)
		}
	})
}
