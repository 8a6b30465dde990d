package policy

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

const floor = time.Hour

func TestStamp(t *testing.T) {
	stamped := func() *jobtest.JobBuilder {
		return job().Label(api.EnabledLabel, api.True).TemplateLabel(api.EnabledLabel, api.True).
			Annotation(api.ResultsNameAnnotation, "job-results")
	}
	for name, tc := range map[string]struct {
		job, want   *jobtest.JobBuilder
		changed     bool
		notTemplate bool
	}{
		"a plain Job":           {job(), stamped(), true, false},
		"the template apart":    {job(), job().Label(api.EnabledLabel, api.True).Annotation(api.ResultsNameAnnotation, "job-results"), true, true},
		"stamped before":        {stamped(), stamped(), false, false},
		"a TTL below the floor": {job().TTL(0), stamped().TTL(3600).Annotation(api.TTLAnnotation, "0;raised=3600"), true, false},
		"a TTL at the floor":    {job().TTL(3600), stamped().TTL(3600), true, false},
		"a TTL above the floor": {job().TTL(3601), stamped().TTL(3601), true, false},
		"a TTL raised before":   {stamped().TTL(3600).Annotation(api.TTLAnnotation, "7"), stamped().TTL(3600).Annotation(api.TTLAnnotation, "7"), false, false},
		"a TTL raised by this version": {
			stamped().TTL(3600).Annotation(api.TTLAnnotation, "7;raised=3600"), stamped().TTL(3600).Annotation(api.TTLAnnotation, "7;raised=3600"), false, false,
		},
		"a raised TTL that the user raised": {stamped().TTL(86400).Annotation(api.TTLAnnotation, "7;raised=3600"), stamped().TTL(86400), true, false},
		"a raised TTL that the user lowered": {
			stamped().TTL(600).Annotation(api.TTLAnnotation, "7;raised=3600"), stamped().TTL(3600).Annotation(api.TTLAnnotation, "600;raised=3600"), true, false,
		},
		"a raised TTL that the user removed": {stamped().Annotation(api.TTLAnnotation, "7;raised=3600"), stamped(), true, false},
		"only the TTL is left":               {stamped().TTL(5), stamped().TTL(3600).Annotation(api.TTLAnnotation, "5;raised=3600"), true, false},
		"the user's results-name":            {job().Annotation(api.ResultsNameAnnotation, "a-results"), stamped().Annotation(api.ResultsNameAnnotation, "a-results"), true, false},
		"an invalid results-name is the user's to mend": {
			job().Annotation(api.ResultsNameAnnotation, "a"), stamped().Annotation(api.ResultsNameAnnotation, "a"), true, false,
		},
		"other keys stay": {
			job().Label("team", "a").Annotation("note", "b").TemplateLabel("app", "c"),
			stamped().Label("team", "a").Annotation("note", "b").TemplateLabel("app", "c"), true, false,
		},
		"no name yet": {
			job().GenerateName("job-"),
			job().GenerateName("job-").Label(api.EnabledLabel, api.True).TemplateLabel(api.EnabledLabel, api.True), true, false,
		},
		"an invalid label": {job().Label(api.EnabledLabel, "yes"), stamped(), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.job.Obj().DeepCopy()
			if changed := Stamp(got, floor, !tc.notTemplate, LeftAlone{}); changed != tc.changed {
				t.Errorf("changed = %v", changed)
			}
			if diff := cmp.Diff(tc.want.Obj(), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if Stamp(got, floor, !tc.notTemplate, LeftAlone{}) {
				t.Errorf("a second Stamp changed: %s", cmp.Diff(tc.want.Obj(), got))
			}
		})
	}
}

func TestStripForged(t *testing.T) {
	for name, tc := range map[string]struct {
		job     *jobtest.JobBuilder
		removed []string
		want    *jobtest.JobBuilder
	}{
		"nothing to strip": {job().Annotation(api.LogModeAnnotation, "full"), nil, job().Annotation(api.LogModeAnnotation, "full")},
		"status and capture": {
			job().Annotation(api.StatusAnnotation, "completed").Annotation(api.CaptureAnnotation, "complete").Annotation("a", "b"),
			[]string{api.CaptureAnnotation, api.StatusAnnotation},
			job().Annotation("a", "b"),
		},
		"a TTL record that Stamp wrote": {
			job().TTL(3600).Annotation(api.TTLAnnotation, "5;raised=3600"), nil, job().TTL(3600).Annotation(api.TTLAnnotation, "5;raised=3600"),
		},
		"a TTL record of the previous version": {
			job().TTL(3600).Annotation(api.TTLAnnotation, "5").Annotation("a", "b"), []string{api.TTLAnnotation}, job().TTL(3600).Annotation("a", "b"),
		},
		"a TTL record of another floor": {
			job().TTL(7200).Annotation(api.TTLAnnotation, "5;raised=7200").Annotation("a", "b"), []string{api.TTLAnnotation}, job().TTL(7200).Annotation("a", "b"),
		},
		"a TTL record without a TTL": {job().Annotation(api.TTLAnnotation, "5").Annotation("a", "b"), []string{api.TTLAnnotation}, job().Annotation("a", "b")},
		"a TTL record beside another TTL": {
			job().TTL(60).Annotation(api.TTLAnnotation, "5;raised=3600").Annotation("a", "b"), []string{api.TTLAnnotation}, job().TTL(60).Annotation("a", "b"),
		},
		"a TTL record that is not below the floor": {
			job().TTL(3600).Annotation(api.TTLAnnotation, "3600;raised=3600").Annotation("a", "b"), []string{api.TTLAnnotation}, job().TTL(3600).Annotation("a", "b"),
		},
		"a TTL record of a tracked Job": {
			job().TTL(3600).Annotation(api.TTLAnnotation, "5;raised=3600").Annotation(argoTrackingAnnotation, "x"),
			[]string{api.TTLAnnotation},
			job().TTL(3600).Annotation(argoTrackingAnnotation, "x"),
		},
		"an unreadable TTL record": {job().TTL(3600).Annotation(api.TTLAnnotation, "x").Annotation("a", "b"), []string{api.TTLAnnotation}, job().TTL(3600).Annotation("a", "b")},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.job.Obj()
			if diff := cmp.Diff(tc.removed, StripForged(got, floor, LeftAlone{})); diff != "" {
				t.Errorf("removed -want +got\n%s", diff)
			}
			if diff := cmp.Diff(tc.want.Obj(), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestStampProperties holds for any Job: a second Stamp changes nothing, the
// user's own TTL survives, the results are as unstamped policy has it, and
// nothing that Stamp wrote is taken for forged.
func TestStampProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := drawJob(t)
		least := time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "floor"))
		StripForged(given, least, LeftAlone{})
		ttl := OwnTTL(given)
		policy, _ := Resolve(given, nil, Defaults{})

		Stamp(given, least, true, LeftAlone{})
		once := given.DeepCopy()
		if Stamp(given, least, true, LeftAlone{}) {
			t.Fatalf("Stamp is not idempotent: %s", cmp.Diff(once, given))
		}
		if removed := StripForged(given, least, LeftAlone{}); removed != nil {
			t.Fatalf("taken for forged: %v", removed)
		}
		if diff := cmp.Diff(ttl, OwnTTL(given)); diff != "" {
			t.Fatalf("own TTL -before +after\n%s", diff)
		}
		stamped, _ := Resolve(given, nil, Defaults{})
		if diff := cmp.Diff(policy, stamped); diff != "" {
			t.Fatalf("policy -before +after\n%s", diff)
		}
		if wish, _ := JobOptIn(given); wish != In {
			t.Fatal("not opted in after Stamp")
		}
	})
}

func TestStampLeavesNoJobWithoutRoom(t *testing.T) {
	const most = 256 << 10
	results := len(api.ResultsNameAnnotation + "job-results")
	ttl := len(api.TTLAnnotation + "5;raised=3600")
	for name, test := range map[string]struct {
		free int
		want []string
	}{
		"room for all":       {results + ttl, []string{api.ResultsNameAnnotation, api.TTLAnnotation}},
		"one byte too few":   {results + ttl - 1, []string{api.ResultsNameAnnotation}},
		"room for one":       {results, []string{api.ResultsNameAnnotation}},
		"room for no more":   {0, nil},
		"more than it takes": {-1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			job := job().TTL(5).Annotation("filler", strings.Repeat("x", most-len("filler")-test.free)).Obj()
			if !Stamp(job, floor, true, LeftAlone{}) || Stamp(job, floor, true, LeftAlone{}) {
				t.Error("not stamped once")
			}
			delete(job.Annotations, "filler")
			if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(job.Annotations))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if raised := *job.Spec.TTLSecondsAfterFinished != 5; raised != slices.Contains(test.want, api.TTLAnnotation) {
				t.Errorf("raised: %v, and recorded: %v", raised, test.want)
			}
			if job.Labels[api.EnabledLabel] != api.True {
				t.Errorf("labels %v", job.Labels)
			}
		})
	}
}

func drawJob(t *rapid.T) *batchv1.Job {
	builder := jobtest.MakeJob("ns", rapid.SampledFrom([]string{"", "job", "a.b"}).Draw(t, "name"))
	if rapid.Bool().Draw(t, "hasTTL") {
		builder.TTL(rapid.Int32().Draw(t, "ttl"))
	}
	for _, key := range append(append(userKeys(), managerKeys()...), argoTrackingAnnotation) {
		if rapid.Bool().Draw(t, "has "+key) {
			builder.Annotation(key, rapid.OneOf(
				rapid.SampledFrom([]string{"", "never", "1d", "full", "a-results", "5", "5;raised=3600", api.True, api.False}), rapid.String(),
			).Draw(t, key))
		}
	}
	if rapid.Bool().Draw(t, "hasLabel") {
		builder.Label(api.EnabledLabel, rapid.SampledFrom([]string{api.True, api.False, "yes"}).Draw(t, "label"))
	}
	return builder.Obj()
}

func FuzzStamp(f *testing.F) {
	f.Add("job", "", "5", int32(0), int64(floor))
	f.Add("", "a-results", "x", int32(-1), int64(-1))
	f.Add("job", "", "5;raised=3600", int32(3600), int64(floor))
	f.Fuzz(func(t *testing.T, name, wish, recorded string, ttl int32, least int64) {
		given := &batchv1.Job{}
		given.Name = name
		given.Spec.TTLSecondsAfterFinished = &ttl
		given.Annotations = annotations{api.ResultsNameAnnotation: wish, api.TTLAnnotation: recorded}
		StripForged(given, time.Duration(least), LeftAlone{})
		Stamp(given, time.Duration(least), true, LeftAlone{})
		once := given.DeepCopy()
		if Stamp(given, time.Duration(least), true, LeftAlone{}) || StripForged(given, time.Duration(least), LeftAlone{}) != nil {
			t.Errorf("not idempotent: %s", cmp.Diff(once, given))
		}
	})
}
