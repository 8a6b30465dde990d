package plan

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

const floor = time.Hour

func done() *jobtest.JobBuilder { return makeJob().Completed(finished) }

func deleting(b *jobtest.JobBuilder) *jobtest.JobBuilder {
	b.Obj().DeletionTimestamp = &metav1.Time{Time: now}
	return b
}

// ttl is the part of a Job that holding and releasing it changes.
type ttl struct {
	Seconds  *int32
	Recorded string
}

// record is what is recorded of a TTL that was raised.
func record(own, raised int32) string { return fmt.Sprintf("%d;raised=%d", own, raised) }

func ttlOf(job *batchv1.Job) ttl {
	return ttl{job.Spec.TTLSecondsAfterFinished, job.Annotations[api.TTLAnnotation]}
}

// onlyTTL fails the test if got differs from job in anything but its TTL.
func onlyTTL(t *testing.T, job, got *batchv1.Job) {
	t.Helper()
	without := func(job *batchv1.Job) *batchv1.Job {
		job = job.DeepCopy()
		job.Spec.TTLSecondsAfterFinished = nil
		delete(job.Annotations, api.TTLAnnotation)
		if len(job.Annotations) == 0 {
			job.Annotations = nil
		}
		return job
	}
	if diff := cmp.Diff(without(job), without(got)); diff != "" {
		t.Errorf("more than the TTL changed:\n%s", diff)
	}
}

func TestHold(t *testing.T) {
	const longest = math.MaxInt32
	for name, test := range map[string]struct {
		job   *jobtest.JobBuilder
		floor time.Duration
		// elapsed is how long ago the Job finished.
		elapsed time.Duration
		// want is nil where the Job stays as it is.
		want *ttl
	}{
		"no TTL":                         {job: done(), elapsed: 100 * floor},
		"at the floor":                   {job: done().TTL(3600)},
		"above the floor":                {job: done().TTL(86400)},
		"half the floor left":            {job: done().TTL(3600), elapsed: floor / 2},
		"half the floor, from the start": {job: done().TTL(1800)},
		"a nanosecond under half": {
			job: done().TTL(3600), elapsed: floor/2 + 1, want: &ttl{new(int32(1800 + 1 + 3600)), record(3600, 1800+1+3600)},
		},
		"a second under half": {
			job: done().TTL(3600), elapsed: floor/2 + time.Second, want: &ttl{new(int32(1801 + 3600)), record(3600, 1801+3600)},
		},
		"under half from the start": {job: done().TTL(1799), want: &ttl{new(int32(3600)), record(1799, 3600)}},
		"zero":                      {job: done().TTL(0), want: &ttl{new(int32(3600)), record(0, 3600)}},
		"past its end":              {job: done().TTL(10), elapsed: 24 * time.Hour, want: &ttl{new(int32(90000)), record(10, 90000)}},
		"parts of seconds are rounded up": {
			job: done().TTL(0), elapsed: 1500 * time.Millisecond, want: &ttl{new(int32(3602)), record(0, 3602)},
		},
		"parts of seconds of the floor too": {
			job: done().TTL(0), floor: time.Minute + time.Millisecond, want: &ttl{new(int32(61)), record(0, 61)},
		},
		"whole seconds are not": {job: done().TTL(0), elapsed: 2 * time.Second, want: &ttl{new(int32(3602)), record(0, 3602)}},

		"finished in the future: clock skew":   {job: done().TTL(3600), elapsed: -time.Hour},
		"skew gives no time away":              {job: done().TTL(1799), elapsed: -time.Hour, want: &ttl{new(int32(3600)), record(1799, 3600)}},
		"raised before, still ahead":           {job: done().TTL(3600).Annotation(api.TTLAnnotation, "10;raised=3600"), elapsed: floor / 2},
		"by the previous version, still ahead": {job: done().TTL(3600).Annotation(api.TTLAnnotation, "10"), elapsed: floor / 2},
		"by the previous version, running out": {job: done().TTL(3600).Annotation(api.TTLAnnotation, "10"), elapsed: floor, want: &ttl{new(int32(7200)), record(10, 7200)}},
		"raised, then raised by the user":      {job: done().TTL(86400).Annotation(api.TTLAnnotation, "10;raised=3600"), elapsed: floor, want: &ttl{new(int32(86400)), ""}},
		"raised, then lowered by the user":     {job: done().TTL(600).Annotation(api.TTLAnnotation, "10;raised=3600"), want: &ttl{new(int32(3600)), record(600, 3600)}},
		"raised, then removed by the user":     {job: done().Annotation(api.TTLAnnotation, "10;raised=3600"), want: &ttl{}},
		"raised, then tracked and removed":     {job: done().Annotation(api.TTLAnnotation, "10;raised=3600").Annotation(argoTracking, "x")},
		"raised before, running out":           {job: done().TTL(3600).Annotation(api.TTLAnnotation, "10;raised=3600"), elapsed: floor, want: &ttl{new(int32(7200)), record(10, 7200)}},
		"raised before from zero":              {job: done().TTL(100).Annotation(api.TTLAnnotation, "0"), want: &ttl{new(int32(3600)), record(0, 3600)}},
		"a record that is no number":           {job: done().TTL(100).Annotation(api.TTLAnnotation, "soon"), want: &ttl{new(int32(3600)), record(100, 3600)}},
		"an empty record":                      {job: done().TTL(100).Annotation(api.TTLAnnotation, ""), want: &ttl{new(int32(3600)), record(100, 3600)}},
		"a negative record":                    {job: done().TTL(100).Annotation(api.TTLAnnotation, "-1"), want: &ttl{new(int32(3600)), record(100, 3600)}},
		"a record without a TTL":               {job: done().Annotation(api.TTLAnnotation, "10"), want: &ttl{}},
		"a TTL that no API server takes":       {job: done().TTL(-5)},
		"failed":                               {job: makeJob().Failed(finished, "", "").TTL(5), want: &ttl{new(int32(3600)), record(5, 3600)}},
		"being deleted":                        {job: deleting(done().TTL(0))},
		"tracked by Argo CD":                   {job: done().TTL(0).Annotation(argoTracking, "x")},
		"tracked by Flux":                      {job: done().TTL(0).Label(fluxKustom, "x")},
		"tracked by Helm":                      {job: done().TTL(0).Annotation(helmRelease, "x")},
		"a hook is not tracked":                {job: done().TTL(0).Annotation(helmHook, "test"), want: &ttl{new(int32(3600)), record(0, 3600)}},
		"a CronJob's":                          {job: byCronJob().Completed(finished).TTL(0), want: &ttl{new(int32(3600)), record(0, 3600)}},
		"the longest TTL":                      {job: done().TTL(longest)},
		"the longest TTL at its end":           {job: done().TTL(longest), elapsed: policy.LongestDelay},
		"one short of the longest at its end":  {job: done().TTL(longest - 1), elapsed: policy.LongestDelay, want: &ttl{new(int32(longest)), record(2147483646, longest)}},
		"as far as a TTL reaches":              {job: done().TTL(0), elapsed: policy.LongestDelay - floor, want: &ttl{new(int32(longest)), record(0, longest)}},
		"further than a TTL reaches":           {job: done().TTL(0), elapsed: policy.LongestDelay - floor/2, want: &ttl{new(int32(longest)), record(0, longest)}},
		"the longest floor":                    {job: done().TTL(0), floor: policy.LongestDelay, want: &ttl{new(int32(longest)), record(0, longest)}},
		"the longest floor, long ago":          {job: done().TTL(0), floor: policy.LongestDelay, elapsed: policy.LongestDelay, want: &ttl{new(int32(longest)), record(0, longest)}},
		"a floor that no flag allows":          {job: done().TTL(0), floor: math.MaxInt64, elapsed: time.Hour, want: &ttl{new(int32(longest)), record(0, longest)}},
		"held as far as such a floor reaches":  {job: done().TTL(longest), floor: math.MaxInt64},
		"longer ago than a duration can say":   {job: done().TTL(0), elapsed: math.MaxInt64, want: &ttl{new(int32(longest)), record(0, longest)}},
		"and held as far as it goes, no more":  {job: done().TTL(longest).Annotation(api.TTLAnnotation, record(0, longest)), elapsed: math.MaxInt64},
		"the least floor":                      {job: done().TTL(29), floor: time.Minute, want: &ttl{new(int32(60)), record(29, 60)}},
		"the least floor, just enough":         {job: done().TTL(30), floor: time.Minute},
		"one second under what a floor leaves": {job: done().TTL(90), floor: time.Minute, elapsed: 61 * time.Second, want: &ttl{new(int32(121)), record(90, 121)}},
	} {
		t.Run(name, func(t *testing.T) {
			job := test.job.Obj()
			before := job.DeepCopy()
			o := Observation{Job: job, TTLFloor: floor}
			if test.floor != 0 {
				o.TTLFloor = test.floor
			}
			desired := hold(o, jobstatus.Of(job), finished.Add(test.elapsed))
			if diff := cmp.Diff(before, job); diff != "" {
				t.Fatalf("the observed Job changed:\n%s", diff)
			}
			if desired == nil || test.want == nil {
				if desired != nil || test.want != nil {
					t.Fatalf("got %v, want %v", desired, test.want)
				}
				return
			}
			if diff := cmp.Diff(*test.want, ttlOf(desired)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			onlyTTL(t, job, desired)
			o.Job = desired
			if again := hold(o, jobstatus.Of(desired), finished.Add(test.elapsed)); again != nil {
				t.Errorf("held again: %v", ttlOf(again))
			}
		})
	}
}

// An end without a time, which only a strange writer of status brings about,
// seems to be longer ago than a duration can say.
func TestHoldWithoutFinishTime(t *testing.T) {
	job := makeJob().TTL(60).Obj()
	job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue}}
	desired := hold(Observation{Job: job, TTLFloor: floor}, jobstatus.Of(job), now)
	if desired == nil {
		t.Fatal("not held")
	}
	if diff := cmp.Diff(ttl{new(int32(math.MaxInt32)), record(60, math.MaxInt32)}, ttlOf(desired)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestRelease(t *testing.T) {
	for name, test := range map[string]struct {
		job  *jobtest.JobBuilder
		want *ttl
	}{
		"never raised":                 {job: makeJob().TTL(10)},
		"no TTL at all":                {job: makeJob()},
		"raised from ten":              {makeJob().TTL(3600).Annotation(api.TTLAnnotation, "10;raised=3600"), &ttl{new(int32(10)), ""}},
		"by the previous version":      {makeJob().TTL(3600).Annotation(api.TTLAnnotation, "10"), &ttl{new(int32(10)), ""}},
		"raised, and changed since":    {makeJob().TTL(86400).Annotation(api.TTLAnnotation, "10;raised=3600"), &ttl{new(int32(86400)), ""}},
		"held, and lowered since":      {done().TTL(3600).Annotation(api.TTLAnnotation, "10;raised=7200"), &ttl{new(int32(3600)), ""}},
		"raised from zero":             {makeJob().TTL(3600).Annotation(api.TTLAnnotation, "0"), &ttl{new(int32(0)), ""}},
		"raised, and taken away since": {makeJob().Annotation(api.TTLAnnotation, "10;raised=3600"), &ttl{nil, ""}},
		"a record that is no number":   {makeJob().TTL(3600).Annotation(api.TTLAnnotation, "x"), &ttl{new(int32(3600)), ""}},
		"nothing but such a record":    {makeJob().Annotation(api.TTLAnnotation, "x"), &ttl{nil, ""}},
		"finished":                     {done().TTL(3600).Annotation(api.TTLAnnotation, "5"), &ttl{new(int32(5)), ""}},
	} {
		t.Run(name, func(t *testing.T) {
			job := test.job.Label(api.EnabledLabel, api.False).Annotation("kept", "yes").Obj()
			before := job.DeepCopy()
			desired := Release(job)
			if diff := cmp.Diff(before, job); diff != "" {
				t.Fatalf("the Job itself changed:\n%s", diff)
			}
			if desired == nil || test.want == nil {
				if desired != nil || test.want != nil {
					t.Fatalf("got %v, want %v", desired, test.want)
				}
				return
			}
			if diff := cmp.Diff(*test.want, ttlOf(desired)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if _, still := desired.Annotations[api.TTLAnnotation]; still {
				t.Errorf("annotation %s is still there", api.TTLAnnotation)
			}
			onlyTTL(t, job, desired)
			if again := Release(desired); again != nil {
				t.Errorf("released twice: %v", ttlOf(again))
			}
		})
	}
}

func TestReleaseFinalizer(t *testing.T) {
	for name, test := range map[string]struct{ has, want []string }{
		"alone":          {[]string{api.ResultsFinalizer}, []string{}},
		"among others":   {[]string{"a/b", api.ResultsFinalizer, "c/d"}, []string{"a/b", "c/d"}},
		"with a raise":   {[]string{api.ResultsFinalizer}, []string{}},
		"only of others": {[]string{"a/b", "job-handler/other"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			builder := makeJob().TTL(3600)
			if name == "with a raise" {
				builder.Annotation(api.TTLAnnotation, "10")
			}
			job := builder.Obj()
			job.Finalizers = test.has
			before := job.DeepCopy()
			desired := Release(job)
			if diff := cmp.Diff(before, job); diff != "" {
				t.Fatalf("the Job itself changed:\n%s", diff)
			}
			if (desired == nil) != (test.want == nil) || Holds(job) != (desired != nil) {
				t.Fatalf("got %v, holds: %t", desired, Holds(job))
			}
			if desired == nil {
				return
			}
			if diff := cmp.Diff(test.want, desired.Finalizers); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if Holds(desired) {
				t.Error("something still holds it")
			}
		})
	}
}
