package metrics

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/job-handler/job-handler/internal/retain"
	"github.com/job-handler/job-handler/internal/selftest"
)

// everything returns a registry with every metric there is, each with a value.
func everything(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := NewJobs(registry)
	must(err)
	must(NewBacklog(registry, func() Backlog { return Backlog{} }))
	must(NewBuild(registry, "v1"))
	_, err = NewReading(registry)
	must(err)
	_, err = NewFollow(registry)
	must(err)
	_, err = NewCaptures(registry, func() CaptureStats { return CaptureStats{} })
	must(err)
	_, err = NewProtection(registry)
	must(err)
	_, err = NewAdmission(registry)
	must(err)
	certificates, err := NewCertificates(registry)
	must(err)
	certificates.SetExpiry(time.Now())
	certificates.SetIssued(true)
	certificates.SetBundleMatches("mutating", true)
	certificates.SetBundleMatches("validating", true)
	selfTest, err := NewSelfTest(registry)
	must(err)
	selfTest.Tested(selftest.Stamped, time.Now())
	retention, err := NewRetention(registry)
	must(err)
	retention.SetBytes("team", 1)
	retention.Surveyed(&retain.Survey{})
	retention.PassCompleted(time.Now(), time.Second)
	return registry
}

// What is documented is what there is, with all values of labels.
func TestGroupsAreWhatThereIs(t *testing.T) {
	families, err := everything(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	type metric struct {
		Kind   Kind
		Help   string
		Labels map[string][]string
	}
	got, want := map[string]metric{}, map[string]metric{}
	for _, family := range families {
		one := metric{Kind(strings.ToLower(family.GetType().String())), family.GetHelp(), map[string][]string{}}
		for _, series := range family.GetMetric() {
			for _, pair := range series.GetLabel() {
				one.Labels[pair.GetName()] = append(one.Labels[pair.GetName()], pair.GetValue())
			}
		}
		for name, values := range one.Labels {
			slices.Sort(values)
			one.Labels[name] = slices.Compact(values)
		}
		got[family.GetName()] = one
	}
	open := map[string][]string{"namespace": {"team"}, "version": {"v1"}}
	for _, group := range Groups() {
		for _, d := range group.Definitions {
			one := metric{d.Kind, d.Help, map[string][]string{}}
			for _, label := range d.Labels {
				values := open[label.Name]
				for _, value := range label.Values {
					values = append(values, value.Value)
					if value.Meaning == "" {
						t.Errorf("%s: %s=%s means nothing", d.Name, label.Name, value.Value)
					}
				}
				slices.Sort(values)
				one.Labels[label.Name] = values
				if (len(label.Values) == 0) == (label.Open == "") {
					t.Errorf("%s: the values of %s are neither listed nor told of, or both", d.Name, label.Name)
				}
			}
			if _, twice := want[d.Name]; twice {
				t.Errorf("%s is defined twice", d.Name)
			}
			want[d.Name] = one
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-documented +served):\n%s", diff)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if !strings.HasPrefix(name, Prefix) {
			t.Errorf("%s: want the prefix %s", name, Prefix)
		}
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(everything(t))
	if len(problems) > 0 || err != nil {
		t.Errorf("%v, %v", problems, err)
	}
}
