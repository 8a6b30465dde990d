package retain

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/job-handler/job-handler/internal/api"
)

// surveyed returns the survey of these ConfigMaps.
func surveyed(options Options, objects ...*corev1.ConfigMap) *Survey {
	s := NewSurvey(now, options, nil)
	for _, o := range objects {
		s.Add(api.ResultsKindConfigMap, o)
	}
	return s
}

// told are candidates as "name reason", sorted.
func told(candidates []Candidate) []string {
	names := []string{}
	for _, c := range candidates {
		names = append(names, c.Name+" "+string(c.Reason))
	}
	slices.Sort(names)
	return names
}

// ran returns results of a CronJob's run that were stored so long ago.
func ran(name, cronJob, status string, age time.Duration) *corev1.ConfigMap {
	return object(name, label(api.CronJobLabel, cronJob), label(api.StatusLabel, status), annotate(api.CreatedAtAnnotation, at(-age)))
}

func expiring(name string, in time.Duration) *corev1.ConfigMap {
	return object(name, annotate(api.ExpiresAtAnnotation, at(in)))
}

func TestCandidates(t *testing.T) {
	const (
		completed, failed = api.StatusCompleted, api.StatusFailed
		hour              = time.Hour
	)
	elsewhere := func(cm *corev1.ConfigMap) *corev1.ConfigMap { cm.Namespace = "other"; return cm }
	with := func(cm *corev1.ConfigMap, change func(*corev1.ConfigMap)) *corev1.ConfigMap { change(cm); return cm }
	for name, tc := range map[string]struct {
		options Options
		objects []*corev1.ConfigMap
		want    []string
	}{
		"nothing": {Options{}, nil, []string{}},
		"kept for ever, all of them": {
			Options{}, []*corev1.ConfigMap{object("a"), ran("b", "x", completed, hour), ran("c", "x", completed, 2*hour)}, []string{},
		},
		"expired": {
			Options{}, []*corev1.ConfigMap{expiring("a", -hour), expiring("b", 0), expiring("c", hour)}, []string{"a expired", "b expired"},
		},
		"malformed stays": {
			Options{}, []*corev1.ConfigMap{object("a", annotate(api.ExpiresAtAnnotation, "soon"))}, []string{},
		},
		"being deleted": {
			Options{}, []*corev1.ConfigMap{with(expiring("a", -hour), func(cm *corev1.ConfigMap) {
				cm.DeletionTimestamp = new(metav1.NewTime(now))
			})}, []string{},
		},
		"as many as are kept": {
			Options{KeepCompleted: 2}, []*corev1.ConfigMap{ran("a", "x", completed, hour), ran("b", "x", completed, 2*hour)}, []string{},
		},
		"one more": {
			Options{KeepCompleted: 2},
			[]*corev1.ConfigMap{ran("a", "x", completed, 3*hour), ran("b", "x", completed, hour), ran("c", "x", completed, 2*hour)},
			[]string{"a surplus"},
		},
		"success and failure are counted apart": {
			Options{KeepCompleted: 1, KeepFailed: 2},
			[]*corev1.ConfigMap{
				ran("a", "x", completed, hour), ran("b", "x", completed, 2*hour),
				ran("c", "x", failed, hour), ran("d", "x", failed, 2*hour), ran("e", "x", failed, 3*hour),
			},
			[]string{"b surplus", "e surplus"},
		},
		"only failures are counted": {
			Options{KeepFailed: 1},
			[]*corev1.ConfigMap{ran("a", "x", completed, hour), ran("b", "x", completed, 2*hour), ran("c", "x", failed, hour), ran("d", "x", failed, 2*hour)},
			[]string{"d surplus"},
		},
		"CronJobs are apart, and so are namespaces": {
			Options{KeepCompleted: 1},
			[]*corev1.ConfigMap{
				ran("a", "x", completed, hour), ran("b", "y", completed, 2*hour), elsewhere(ran("c", "x", completed, 3*hour)),
			},
			[]string{},
		},
		"Jobs of nobody are not counted": {
			Options{KeepCompleted: 1, KeepFailed: 1}, []*corev1.ConfigMap{object("a"), object("b"), ran("c", "", completed, hour)}, []string{},
		},
		"what expires takes no place": {
			Options{KeepCompleted: 1},
			[]*corev1.ConfigMap{with(ran("a", "x", completed, hour), annotate(api.ExpiresAtAnnotation, at(-1))), ran("b", "x", completed, 2*hour)},
			[]string{"a expired"},
		},
		"what cannot be read takes one": {
			Options{KeepCompleted: 1},
			[]*corev1.ConfigMap{with(ran("a", "x", completed, hour), annotate(api.ExpiresAtAnnotation, "?")), ran("b", "x", completed, 2*hour)},
			[]string{"b surplus"},
		},
		"the server's time counts where created-at is missing": {
			Options{KeepCompleted: 1},
			[]*corev1.ConfigMap{with(ran("a", "x", completed, 0), func(cm *corev1.ConfigMap) { delete(cm.Annotations, api.CreatedAtAnnotation) }), ran("b", "x", completed, hour)},
			[]string{"a surplus"},
		},
		"what has no created-at is not the oldest for that": {
			Options{KeepCompleted: 1},
			[]*corev1.ConfigMap{with(ran("a", "x", completed, 0), func(cm *corev1.ConfigMap) { delete(cm.Annotations, api.CreatedAtAnnotation) }), ran("b", "x", completed, 25*hour)},
			[]string{"b surplus"},
		},
		"of the same age by name": {
			Options{KeepCompleted: 1}, []*corev1.ConfigMap{ran("b", "x", completed, hour), ran("a", "x", completed, hour)}, []string{"a surplus"},
		},
		"neither parts nor what is not ours": {
			Options{KeepCompleted: 1},
			[]*corev1.ConfigMap{
				with(ran("a", "x", completed, hour), partOf("z")), with(ran("b", "x", completed, 2*hour), owned),
				with(ran("c", "x", completed, 3*hour), unlabel(api.CreatedLabel)), ran("d", "x", completed, 4*hour),
			},
			[]string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, told(surveyed(tc.options, tc.objects...).Candidates())); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// The same results go, in whatever order they are listed.
func TestSurplusOfAnyOrder(t *testing.T) {
	var objects []*corev1.ConfigMap
	for i := range 100 {
		objects = append(objects, ran(fmt.Sprintf("r-%03d", i), "x", api.StatusCompleted, time.Duration(i/2)*time.Hour))
	}
	want := told(surveyed(Options{KeepCompleted: 7}, objects...).Candidates())
	if len(want) != 93 || slices.Contains(want, "r-000 surplus") || !slices.Contains(want, "r-006 surplus") {
		t.Fatalf("%d go: %v", len(want), want)
	}
	for range 10 {
		rand.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
		if diff := cmp.Diff(want, told(surveyed(Options{KeepCompleted: 7}, objects...).Candidates())); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
	}
}

func TestSoon(t *testing.T) {
	s := surveyed(Options{Horizon: time.Hour}, expiring("a", time.Second), expiring("b", time.Hour-time.Second),
		expiring("c", time.Hour), expiring("d", -time.Second), object("e"))
	got := map[string]time.Duration{}
	for _, due := range s.Soon {
		got[due.Name] = due.At.Sub(now)
	}
	if diff := cmp.Diff(map[string]time.Duration{"a": time.Second, "b": time.Hour - time.Second}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestCounts(t *testing.T) {
	s := surveyed(Options{}, object("a"), object("b", partOf("a")), object("c", owned), object("d", annotate(api.BytesAnnotation, "x")),
		object("e", annotate(api.ExpiresAtAnnotation, "x")), object("f", annotate(api.ExpiresAtAnnotation, "y")))
	other := object("g")
	other.Namespace = "other"
	s.Add(api.ResultsKindSecret, other)
	if diff := cmp.Diff(map[string]int64{"team": 400, "other": 100}, s.Bytes); diff != "" {
		t.Errorf("bytes: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(map[Class]int{Results: 5, Part: 1, Foreign: 1}, s.Counts); diff != "" {
		t.Errorf("counts: -want +got\n%s", diff)
	}
	if s.Malformed != 2 || !strings.HasPrefix(s.Complaint, `ConfigMap team/e: annotation job-handler/expires-at: invalid value "x": must be `) {
		t.Errorf("%d: %s", s.Malformed, s.Complaint)
	}
}

func TestSuspects(t *testing.T) {
	uids := func(names ...string) sets.Set[types.UID] {
		set := sets.New[types.UID]()
		for _, n := range names {
			set.Insert(types.UID("uid-of-" + n))
		}
		return set
	}
	otherRun := label(api.JobUIDLabel, "other")
	for name, tc := range map[string]struct {
		settled sets.Set[types.UID]
		objects []*corev1.ConfigMap
		want    []string
		stay    sets.Set[types.UID]
	}{
		"nothing":                    {nil, []*corev1.ConfigMap{object("a")}, nil, nil},
		"a young part":               {nil, []*corev1.ConfigMap{object("a-p", partOf("a"), old(time.Minute))}, nil, nil},
		"parts not known":            {nil, []*corev1.ConfigMap{object("a"), object("a-p", partOf("a")), object("a-q", partOf("a"))}, []string{"a: a-p a-q"}, nil},
		"parts known":                {uids("a-p", "gone"), []*corev1.ConfigMap{object("a"), object("a-p", partOf("a"))}, nil, uids("a-p")},
		"parts known, results gone":  {uids("a-p"), []*corev1.ConfigMap{object("a-p", partOf("a"))}, []string{"a: a-p"}, nil},
		"one known, one not":         {uids("a-p"), []*corev1.ConfigMap{object("a"), object("a-p", partOf("a")), object("a-q", partOf("a"))}, []string{"a: a-q"}, uids("a-p")},
		"two runs under a name":      {nil, []*corev1.ConfigMap{object("a-p", partOf("a")), object("a-q", partOf("a"), otherRun)}, []string{"a: a-q", "a: a-p"}, nil},
		"those without results lead": {nil, []*corev1.ConfigMap{object("a"), object("a-p", partOf("a")), object("b-p", partOf("b"))}, []string{"b: b-p", "a: a-p"}, nil},
		"an owned one":               {nil, []*corev1.ConfigMap{object("a-p", partOf("a"), owned)}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSurvey(now, Options{}, tc.settled)
			for _, o := range tc.objects {
				s.Add(api.ResultsKindConfigMap, o)
			}
			var got []string
			for _, parts := range s.Suspects() {
				line := parts.Of + ":"
				for _, ref := range parts.Refs {
					line += " " + ref.Name
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if !s.Settled().Equal(tc.stay) {
				t.Errorf("settled %v, want %v", s.Settled(), tc.stay)
			}
		})
	}
}

// The Job of parts is asked for by its name, and by its UID.
func TestSuspectsTellTheirJob(t *testing.T) {
	got := surveyed(Options{}, object("a-p", partOf("a"))).Suspects()
	want := []*Parts{{
		Kind: api.ResultsKindConfigMap, Namespace: "team", Of: "a", JobName: "job", JobUID: "run",
		Refs: []Ref{RefOf(api.ResultsKindConfigMap, object("a-p"))},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// They come in one order, whatever that of maps is.
func TestSuspectsAreInOrder(t *testing.T) {
	s := surveyed(Options{})
	for i := range 100 {
		s.Add(api.ResultsKindConfigMap, object(fmt.Sprintf("p-%02d", i), partOf(fmt.Sprintf("r-%02d", (i*37)%100))))
	}
	suspects := s.Suspects()
	if !slices.IsSortedFunc(suspects, func(a, b *Parts) int { return strings.Compare(a.Of, b.Of) }) {
		t.Error("suspects are not in the order of their results")
	}
}

func TestSettle(t *testing.T) {
	s := surveyed(Options{}, object("a"), object("a-p", partOf("a")))
	s.Settle("uid-of-a-p")
	next := NewSurvey(now, Options{}, s.Settled())
	next.Add(api.ResultsKindConfigMap, object("a"))
	next.Add(api.ResultsKindConfigMap, object("a-p", partOf("a")))
	if suspects := next.Suspects(); len(suspects) > 0 {
		t.Errorf("looked at again: %v", suspects[0])
	}
	// A Secret of the name is another object.
	secrets := NewSurvey(now, Options{}, s.Settled())
	secrets.Add(api.ResultsKindSecret, object("a"))
	secrets.Add(api.ResultsKindConfigMap, object("a-p", partOf("a")))
	if len(secrets.Suspects()) != 1 {
		t.Error("a Secret counts as the results of a ConfigMap's part")
	}
}
