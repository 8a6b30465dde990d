package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// drawMeta gives a Job labels and annotations of all kinds, short and long.
func drawMeta(t *rapid.T) *batchv1.Job {
	given := drawJob(t)
	ours := append(userKeys(), managerKeys()...)
	others := []string{
		"app", "team/a", "team/b", argoTrackingAnnotation, argoHookAnnotation, fluxKustomizeLabel, helmReleaseAnnotation, api.Prefix + "unknown",
	}
	value := rapid.OneOf(
		rapid.SampledFrom([]string{"", "never", "1d", "full", "true", "team/a,team/b", "team/a, app"}),
		rapid.Custom(func(t *rapid.T) string {
			return strings.Repeat(rapid.SampledFrom([]string{"0", "é", "team/a,", " "}).Draw(t, "piece"), rapid.IntRange(1, 9000).Draw(t, "pieces"))
		}),
	)
	for key, drawn := range rapid.MapOfN(rapid.SampledFrom(append(ours, others...)), value, 0, 6).Draw(t, "annotations") {
		set(&given.Annotations, key, drawn)
	}
	for key := range rapid.MapOfN(rapid.SampledFrom(append(others, api.EnabledLabel)), rapid.Bool(), 0, 6).Draw(t, "labels") {
		set(&given.Labels, key, "true")
	}
	return given
}

// What a cache keeps of a Job decides as the whole Job does.
func TestKeepDecidesAlike(t *testing.T) {
	defaults := Defaults{PropagatableLabels: []string{"team/*"}}
	rapid.Check(t, func(t *rapid.T) {
		whole := drawMeta(t)
		kept := whole.DeepCopy()
		Keep(kept, defaults)
		again := kept.DeepCopy()
		Keep(again, defaults)
		if diff := cmp.Diff(kept, again); diff != "" {
			t.Fatalf("a second time changes it: %s", diff)
		}
		want, problems := Resolve(whole, nil, defaults)
		got, keptProblems := Resolve(kept, nil, defaults)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("policy -whole +kept\n%s", diff)
		}
		if diff := cmp.Diff(texts(problems.Job), texts(keptProblems.Job)); diff != "" {
			t.Fatalf("problems -whole +kept\n%s", diff)
		}
		for _, key := range want.PropagateLabels {
			if value, there := whole.Labels[key]; there && kept.Labels[key] != value {
				t.Fatalf("label %s is missing", key)
			}
		}
		wholeTool, _ := Tracked(whole, LeftAlone{})
		keptTool, _ := Tracked(kept, LeftAlone{})
		wholeHook, _ := Hook(whole)
		keptHook, _ := Hook(kept)
		wholeWish, _ := JobOptIn(whole)
		keptWish, _ := JobOptIn(kept)
		if wholeTool != keptTool || wholeHook != keptHook || wholeWish != keptWish {
			t.Fatalf("%q %q %v, kept %q %q %v", wholeTool, wholeHook, wholeWish, keptTool, keptHook, keptWish)
		}
		if diff := cmp.Diff(OwnTTL(whole), OwnTTL(kept)); diff != "" {
			t.Fatalf("TTL -whole +kept\n%s", diff)
		}
	})
}

// texts returns what is said of each error.
func texts(errs field.ErrorList) []string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Error())
	}
	return all
}

// Whether there is room for an annotation is told by what was dropped too.
func TestKeepKnowsWhetherAnnotationsFit(t *testing.T) {
	const most = 256 << 10
	own := len(api.TTLAnnotation + "5")
	for _, free := range []int{-1, 0, own - 1, own, own + 1, 1000} {
		whole := job().Annotation("filler", strings.Repeat("x", most-len("filler")-free)).Obj()
		kept := whole.DeepCopy()
		Keep(kept, Defaults{})
		if _, there := kept.Annotations["filler"]; there {
			t.Fatal("the filler is kept")
		}
		want, got := fits(whole.Annotations, api.TTLAnnotation, "5"), fits(kept.Annotations, api.TTLAnnotation, "5")
		if want != (free >= own) || got != want {
			t.Errorf("%d bytes are free: it fits %t, as kept %t", free, want, got)
		}
	}
}

// hostileJob has as much metadata as an object may have, in each way.
func hostileJob() *batchv1.Job {
	b := jobtest.MakeJob("team", "job").UID("uid").Label(api.EnabledLabel, api.True)
	for _, key := range append(userKeys(), managerKeys()...) {
		b.Annotation(key, strings.Repeat("team/a,", 3000))
	}
	object := b.Obj()
	for i := range 5000 {
		set(&object.Labels, fmt.Sprintf("team/%053d", i), strings.Repeat("v", 63))
		set(&object.Labels, fmt.Sprintf("%s%053d", api.Prefix, i), strings.Repeat("v", 63))
		set(&object.Annotations, fmt.Sprintf("%s%d", api.Prefix, i), "x")
		object.Finalizers = append(object.Finalizers, fmt.Sprintf("example.com/%d", i), metav1.FinalizerOrphanDependents)
		object.OwnerReferences = append(object.OwnerReferences, metav1.OwnerReference{
			APIVersion: strings.Repeat("v", 1000), Kind: strings.Repeat("k", 1000), Name: strings.Repeat("n", 1000), UID: types.UID(strings.Repeat("u", 1000)),
		})
	}
	object.OwnerReferences[4000].Controller = new(true)
	object.Finalizers = append(object.Finalizers, api.ResultsFinalizer)
	return object
}

func TestKeepIsBounded(t *testing.T) {
	whole := hostileJob()
	kept := whole.DeepCopy()
	Keep(kept, Defaults{PropagatableLabels: []string{"team/*"}})
	if size := kept.ObjectMeta.Size(); size > 48<<10 {
		t.Errorf("%d of %d bytes are kept", size, whole.ObjectMeta.Size())
	}
	if !Protected(kept) || !slices.Contains(kept.Finalizers, metav1.FinalizerOrphanDependents) || len(kept.Finalizers) > maxFinalizers {
		t.Errorf("finalizers %v", kept.Finalizers)
	}
	if metav1.GetControllerOf(kept) == nil || len(kept.OwnerReferences) != maxOwners {
		t.Errorf("%d owners", len(kept.OwnerReferences))
	}
	dropped := DroppedOf(kept)
	if dropped.AnnotationBytes == 0 || !dropped.Labels || !dropped.Finalizers || dropped.Selector {
		t.Errorf("%+v", dropped)
	}
	if kept.Labels[api.EnabledLabel] != api.True {
		t.Error("the label that opts in is dropped")
	}
}

// Of usual Jobs nothing is dropped that is looked at, and nothing has to be noted.
func TestKeepOfAUsualJob(t *testing.T) {
	given := job().Label(api.EnabledLabel, api.True).Annotation(api.LogModeAnnotation, "full").Finalizer("a/b").
		OwnedBy("batch/v1", "CronJob", "nightly", "uid").Obj()
	kept := given.DeepCopy()
	Keep(kept, Defaults{})
	if diff := cmp.Diff(given, kept); diff != "" {
		t.Errorf("-whole +kept\n%s", diff)
	}
	if got := DroppedOf(kept); got != (Dropped{}) {
		t.Errorf("%+v", got)
	}
}

func TestDroppedIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Dropped{
			rapid.IntRange(0, 1<<30).Draw(t, "bytes"), rapid.Bool().Draw(t, "labels"), rapid.Bool().Draw(t, "finalizers"), rapid.Bool().Draw(t, "selector"),
			rapid.Bool().Draw(t, "large"),
		}
		var object metav1.ObjectMeta
		want.Note(&object)
		if got := DroppedOf(&object); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}

func TestListsOfLabelsAreBounded(t *testing.T) {
	defaults := Defaults{PropagatableLabels: []string{"team/*"}}
	for length, valid := range map[int]bool{maxListBytes: true, maxListBytes + 1: false} {
		given := job().Annotation(api.PropagateLabelsAnnotation, "team/a"+strings.Repeat(" ", length-len("team/a"))).Obj()
		if got, _ := Resolve(given, nil, defaults); (len(got.PropagateLabels) == 1) != valid {
			t.Errorf("%d bytes: %v", length, got.PropagateLabels)
		}
	}
}
