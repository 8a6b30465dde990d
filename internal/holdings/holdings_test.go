package holdings

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/retain"
)

const (
	team   = "team"
	budget = 1000
)

func newHoldings(t *testing.T, options Options) (*Holdings, *clocktesting.FakePassiveClock) {
	t.Helper()
	m, err := metrics.NewRetention(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	clk := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	return New(options, clk, m), clk
}

func object(bytes int) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: team, Annotations: map[string]string{api.BytesAnnotation: strconv.Itoa(bytes)},
	}}
}

func TestOver(t *testing.T) {
	for name, tc := range map[string]struct {
		limit int64
		do    func(*Holdings)
		want  bool
	}{
		"not counted yet": {budget, func(h *Holdings) { h.Stored(api.ResultsKindConfigMap, object(5000)) }, false},
		"nothing there":   {budget, func(h *Holdings) { h.Counted(map[string]int64{}, nil) }, false},
		"below":           {budget, func(h *Holdings) { h.Counted(map[string]int64{team: 999}, nil) }, false},
		"all of it":       {budget, func(h *Holdings) { h.Counted(map[string]int64{team: 1000}, nil) }, true},
		"no bound":        {0, func(h *Holdings) { h.Counted(map[string]int64{team: 1 << 40}, nil) }, false},
		"another is":      {budget, func(h *Holdings) { h.Counted(map[string]int64{"other": 1000}, nil) }, false},
		"stored since": {budget, func(h *Holdings) {
			h.Counted(map[string]int64{team: 900}, nil)
			h.Stored(api.ResultsKindConfigMap, object(100))
		}, true},
		"deleted since": {budget, func(h *Holdings) {
			h.Counted(map[string]int64{team: 1000}, nil)
			h.Freed(team, retain.Bytes(object(1)))
		}, false},
		"deleted more than was counted, then stored": {budget, func(h *Holdings) {
			h.Counted(map[string]int64{team: 10}, nil)
			h.Freed(team, retain.Bytes(object(500)))
			h.Stored(api.ResultsKindConfigMap, object(1000))
		}, true},
		"stored during the count": {budget, func(h *Holdings) {
			h.Begin()
			h.Stored(api.ResultsKindConfigMap, object(100))
			h.Counted(map[string]int64{team: 900}, nil)
		}, true},
		"stored before the count": {budget, func(h *Holdings) {
			h.Stored(api.ResultsKindConfigMap, object(100))
			h.Begin()
			h.Counted(map[string]int64{team: 900}, nil)
		}, false},
		"counted anew": {budget, func(h *Holdings) {
			h.Counted(map[string]int64{team: 1000}, nil)
			h.Begin()
			h.Counted(map[string]int64{team: 900}, nil)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newHoldings(t, Options{Budgets: retain.Budgets{Namespace: tc.limit}, Horizon: time.Hour})
			tc.do(h)
			if got := h.Over(team) == retain.NamespaceBudget; got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// The count of all namespaces follows what is stored and deleted, and a namespace
// without results has no share.
func TestOverTheClustersBudget(t *testing.T) {
	h, _ := newHoldings(t, Options{Budgets: retain.Budgets{Cluster: budget}})
	in := func(namespace string, bytes int) *corev1.ConfigMap {
		cm := object(bytes)
		cm.Namespace = namespace
		return cm
	}
	want := func(what string, others ...retain.Budget) {
		t.Helper()
		got := []retain.Budget{h.Over(team), h.Over("other"), h.Over("new")}
		if diff := cmp.Diff(others, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", what, diff)
		}
	}
	const within, over = retain.WithinBudget, retain.ClusterBudget
	h.Stored(api.ResultsKindConfigMap, in(team, 5000))
	want("not counted yet", within, within, within)
	h.Counted(map[string]int64{team: 800, "other": 100, "gone": 0}, nil)
	want("below", within, within, within)
	h.Stored(api.ResultsKindConfigMap, in("other", 100))
	want("team fills it", over, within, within)
	h.Stored(api.ResultsKindConfigMap, in("other", 300))
	want("other has its share too", over, over, within)
	h.Stored(api.ResultsKindConfigMap, in(team, 200))
	want("far above", over, over, over)
	h.Freed(team, retain.Bytes(in(team, 1000)))
	want("team has nothing", within, within, within)
	h.Freed("other", 1000)
	h.Stored(api.ResultsKindConfigMap, in("new", 1000))
	want("new is the only one", within, within, over)
	h.Begin()
	h.Stored(api.ResultsKindConfigMap, in("new", 1))
	h.Counted(map[string]int64{"new": 998}, nil)
	want("counted anew", within, within, within)
}

func TestNobodyHoldsAnything(t *testing.T) {
	var h *Holdings
	h.Stored(api.ResultsKindConfigMap, object(1))
	h.Freed(team, 1)
	if h.Over(team) != retain.WithinBudget {
		t.Error("nothing is above a bound")
	}
}

func TestToldOnceAnHour(t *testing.T) {
	h, clk := newHoldings(t, Options{})
	got := []bool{h.Shrunk(team, retain.NamespaceBudget), h.Shrunk(team, retain.NamespaceBudget), h.Shrunk("other", retain.ClusterBudget)}
	clk.SetTime(clk.Now().Add(59 * time.Minute))
	got = append(got, h.Shrunk(team, retain.NamespaceBudget))
	clk.SetTime(clk.Now().Add(time.Minute))
	got = append(got, h.Shrunk(team, retain.NamespaceBudget), h.Shrunk(team, retain.NamespaceBudget))
	if diff := cmp.Diff([]bool{true, false, true, false, true, false}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(h.told) != 1 {
		t.Errorf("%d namespaces remembered", len(h.told))
	}
}

func names(dues []retain.Due) []string {
	list := []string{}
	for _, due := range dues {
		list = append(list, due.Name)
	}
	return list
}

func TestDue(t *testing.T) {
	h, clk := newHoldings(t, Options{Horizon: time.Hour})
	now := clk.Now()
	due := func(name string, in time.Duration) retain.Due {
		return retain.Due{Ref: retain.Ref{Name: name}, At: now.Add(in)}
	}
	stored := func(name, expires string) {
		cm := object(1)
		cm.Name = name
		if expires != "" {
			cm.Annotations[api.ExpiresAtAnnotation] = expires
		}
		h.Stored(api.ResultsKindConfigMap, cm)
	}
	at := func(in time.Duration) string { return now.Add(in).Format(time.RFC3339) }
	sooner := func() bool {
		select {
		case <-h.Sooner():
			return true
		default:
			return false
		}
	}
	if _, known := h.Next(); known || sooner() {
		t.Fatal("something is due")
	}
	stored("for-ever", "")
	stored("malformed", "soon")
	stored("later", at(2*time.Hour))
	if _, known := h.Next(); known || sooner() {
		t.Fatal("something is due")
	}
	stored("b", at(20*time.Second))
	if next, known := h.Next(); !known || !next.Equal(now.Add(20*time.Second)) || !sooner() {
		t.Fatal("b is not next")
	}
	stored("c", at(30*time.Second))
	if sooner() {
		t.Error("c is not sooner")
	}
	h.Postpone(due("a", 10*time.Second))
	if !sooner() {
		t.Error("a is sooner")
	}
	if got := h.Take(now.Add(5 * time.Second)); len(got) > 0 {
		t.Errorf("too early: %v", got)
	}
	if diff := cmp.Diff([]string{"a", "b"}, names(h.Take(now.Add(20*time.Second)))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	// A count replaces what is known, but for what is stored meanwhile.
	h.Begin()
	stored("e", at(50*time.Second))
	h.Counted(map[string]int64{}, []retain.Due{due("f", time.Minute), due("d", 40*time.Second)})
	if diff := cmp.Diff([]string{"d", "e", "f"}, names(h.Take(now.Add(time.Hour)))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, known := h.Next(); known {
		t.Error("taken twice")
	}
}

func TestDueIsBounded(t *testing.T) {
	h, clk := newHoldings(t, Options{Horizon: time.Hour})
	for i := range mostDue + 10 {
		h.Postpone(retain.Due{Ref: retain.Ref{Name: fmt.Sprint(i)}, At: clk.Now()})
	}
	if got := len(h.Take(clk.Now())); got != mostDue {
		t.Errorf("%d are remembered", got)
	}
}
