package namespace

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/job-handler/job-handler/internal/api"
)

func found(namespace string, uid types.UID) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "report", UID: uid}}
}

func TestFinishedJobs(t *testing.T) {
	all := []*metav1.PartialObjectMetadata{found("a", "1"), found("a", "2"), found("b", "1"), found("b", "3")}
	for name, test := range map[string]struct {
		do   func(f *finishedJobs)
		want []bool
	}{
		"nothing":                   {func(*finishedJobs) {}, []bool{false, false, false, false}},
		"one":                       {func(f *finishedJobs) { f.add(all[0]) }, []bool{true, false, false, false}},
		"one twice":                 {func(f *finishedJobs) { f.add(all[0]); f.add(all[0]) }, []bool{true, false, false, false}},
		"two of a namespace":        {func(f *finishedJobs) { f.add(all[0]); f.add(all[1]) }, []bool{true, true, false, false}},
		"all":                       {func(f *finishedJobs) { addAll(f, all) }, []bool{true, true, true, true}},
		"all, a namespace is gone":  {func(f *finishedJobs) { addAll(f, all); f.forgetNamespace("a") }, []bool{false, false, true, true}},
		"all, a namespace is back":  {func(f *finishedJobs) { addAll(f, all); f.forgetNamespace("a"); f.add(all[1]) }, []bool{false, true, true, true}},
		"all, one is seen":          {func(f *finishedJobs) { addAll(f, all); f.keepOnly("a", sets.New[types.UID]("2", "9")) }, []bool{false, true, true, true}},
		"all, none is seen":         {func(f *finishedJobs) { addAll(f, all); f.keepOnly("b", sets.New[types.UID]()) }, []bool{true, true, false, false}},
		"all, nothing is listed":    {func(f *finishedJobs) { addAll(f, all); f.keepOnly("b", nil) }, []bool{true, true, false, false}},
		"seen, which is not to add": {func(f *finishedJobs) { f.add(all[0]); f.keepOnly("a", sets.New[types.UID]("1", "2")) }, []bool{true, false, false, false}},
		"an unknown one forgotten":  {func(f *finishedJobs) { f.forgetNamespace("a"); f.keepOnly("b", sets.New[types.UID]("3")) }, []bool{false, false, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var f finishedJobs
			test.do(&f)
			var got []bool
			for _, job := range all {
				got = append(got, f.has(job))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func addAll(f *finishedJobs, jobs []*metav1.PartialObjectMetadata) {
	for _, job := range jobs {
		f.add(job)
	}
}

// A namespace that nothing is known of takes no memory.
func TestFinishedJobsRememberNothingElse(t *testing.T) {
	var f finishedJobs
	f.has(found("a", "1"))
	f.keepOnly("a", sets.New[types.UID]("1"))
	f.forgetNamespace("a")
	if len(f.byNamespace) > 0 {
		t.Errorf("remembered: %v", f.byNamespace)
	}
	f.add(found("a", "1"))
	f.forgetNamespace("a")
	if len(f.byNamespace) > 0 {
		t.Errorf("remembered: %v", f.byNamespace)
	}
}

// Workers share it: for the race detector.
func TestFinishedJobsAreShared(t *testing.T) {
	var f finishedJobs
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			job := found(fmt.Sprint(i%3), types.UID(fmt.Sprint(i)))
			for range 100 {
				f.add(job)
				f.has(job)
				f.keepOnly(job.Namespace, sets.New(job.UID))
				f.forgetNamespace(job.Namespace)
			}
		})
	}
	group.Wait()
	if len(f.byNamespace) > 0 {
		t.Errorf("remembered: %v", f.byNamespace)
	}
}

// The scan lists every Job that the cache of opted-in ones does not hold.
func TestNotOptedIn(t *testing.T) {
	for name, test := range map[string]struct {
		labels labels.Set
		want   bool
	}{
		"no label":      {nil, true},
		"other labels":  {labels.Set{"app": "x"}, true},
		"opted in":      {labels.Set{api.EnabledLabel: api.True}, false},
		"opted out":     {labels.Set{api.EnabledLabel: api.False}, true},
		"an odd value":  {labels.Set{api.EnabledLabel: "yes"}, true},
		"an empty one":  {labels.Set{api.EnabledLabel: ""}, true},
		"in, and other": {labels.Set{api.EnabledLabel: api.True, "app": "x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := notOptedIn.Matches(test.labels); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
