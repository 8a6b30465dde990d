package plan

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	incomplete = api.CaptureIncompletePrefix + "RotatedHead (1 time)"
	kept       = api.CaptureKeptPrefix + "NodeUnreachable (1 time)"
)

func failed() *jobtest.JobBuilder { return makeJob().Failed(finished, "BackoffLimitExceeded", "") }

func after(source policy.Source, d time.Duration) policy.SourcedDelay {
	return policy.SourcedDelay{Delay: policy.Delay{After: d}, Source: source}
}

func never(source policy.Source) policy.SourcedDelay {
	return policy.SourcedDelay{Delay: policy.Delay{Never: true}, Source: source}
}

// Every source alike: what matters is the delay, for a Job of ours.
func TestFateByDelay(t *testing.T) {
	for _, source := range []policy.Source{
		policy.SourceJob, policy.SourceJobTTL, policy.SourceNamespace, policy.SourceFlag, policy.SourceDefault,
	} {
		for name, test := range map[string]struct {
			setting policy.SourcedDelay
			want    Fate
		}{
			"never":        {never(source), Fate{Why: "the Job is kept"}},
			"at once":      {after(source, 0), Fate{DeleteNow: true, Why: "the Job is deleted now"}},
			"a second":     {after(source, time.Second), Fate{TTL: new(int32(1)), Why: "the Job is deleted 1s after its end"}},
			"a day and 5m": {after(source, 24*time.Hour+5*time.Minute), Fate{TTL: new(int32(86700)), Why: "the Job is deleted 1d5m after its end"}},
			"the longest": {
				after(source, policy.LongestDelay),
				Fate{TTL: new(int32(math.MaxInt32)), Why: "the Job is deleted 24855d3h14m7s after its end"},
			},
		} {
			t.Run(string(source)+"/"+name, func(t *testing.T) {
				job := done().TTL(77).Obj()
				got := FateOf(Observation{Job: job, Policy: policy.Policy{
					DeleteAfterSuccess: test.setting, DeleteAfterFailure: after(source, 9*time.Second),
				}}, jobstatus.Of(job), api.CaptureComplete)
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			})
		}
	}
}

// Only the Job's own annotation deletes a Job that is kept for its logs.
func TestFateOfKeptJob(t *testing.T) {
	for source, want := range map[policy.Source]Fate{
		policy.SourceJob:       {DeleteNow: true, Why: "the Job is deleted now"},
		policy.SourceJobTTL:    {Why: "the Job is kept for its logs"},
		policy.SourceNamespace: {Why: "the Job is kept for its logs"},
		policy.SourceFlag:      {Why: "the Job is kept for its logs"},
		policy.SourceDefault:   {Why: "the Job is kept for its logs"},
	} {
		job := done().TTL(0).Obj()
		got := FateOf(Observation{Job: job, Policy: policy.Policy{DeleteAfterFailure: after(source, 0)}}, jobstatus.Of(job), kept)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", source, diff)
		}
	}
}

// Which of the two delays counts: how the Job ended and whether it is kept for
// its logs.
func TestFateByOutcome(t *testing.T) {
	p := policy.Policy{
		DeleteAfterSuccess: after(policy.SourceNamespace, time.Minute),
		DeleteAfterFailure: after(policy.SourceNamespace, time.Hour),
	}
	success := Fate{TTL: new(int32(60)), Why: "the Job is deleted 1m after its end"}
	failure := Fate{TTL: new(int32(3600)), Why: "the Job is deleted 1h after its end"}
	forLogs := Fate{Why: "the Job is kept for its logs"}
	for name, test := range map[string]struct {
		job     *jobtest.JobBuilder
		capture string
		want    Fate
	}{
		"completed, complete":          {done(), api.CaptureComplete, success},
		"completed, incomplete":        {done(), incomplete, success},
		"completed, kept":              {done(), kept, forLogs},
		"completed, no capture":        {done(), "", success},
		"completed, odd capture":       {done(), "Job kept: no", success},
		"completed, kept and no cause": {done(), api.CaptureKeptPrefix, forLogs},
		"failed, complete":             {failed(), api.CaptureComplete, failure},
		"failed, incomplete":           {failed(), incomplete, failure},
		"failed, kept":                 {failed(), kept, forLogs},
		"kept, with a TTL of its own":  {done().TTL(5), kept, forLogs},
		"kept, with a raised TTL":      {stored(done()).TTL(3600).Annotation(api.TTLAnnotation, "5"), kept, forLogs},
		"kept, given a TTL later":      {stored(done()).TTL(5), kept, Fate{TTL: new(int32(5)), Why: forLogs.Why}},
		"failed and completed":         {done().Failed(finished, "", ""), api.CaptureComplete, failure},
	} {
		t.Run(name, func(t *testing.T) {
			job := test.job.Obj()
			if diff := cmp.Diff(test.want, FateOf(Observation{Job: job, Policy: p}, jobstatus.Of(job), test.capture)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A Job that somebody else looks after is left alone unless the Job's own
// annotation says otherwise; then it fares as any other.
func TestFateByOwnership(t *testing.T) {
	const whoElse = "the Job is left alone: it is tracked (Argo CD)"
	theirs := func() *jobtest.JobBuilder { return done().Annotation(argoTracking, "x") }
	for name, test := range map[string]struct {
		job     *jobtest.JobBuilder
		setting policy.SourcedDelay
		want    Fate
	}{
		"default":                        {theirs(), after(policy.SourceDefault, 0), Fate{Why: whoElse}},
		"flag":                           {theirs(), after(policy.SourceFlag, 0), Fate{Why: whoElse}},
		"namespace":                      {theirs(), after(policy.SourceNamespace, time.Hour), Fate{Why: whoElse}},
		"namespace, never":               {theirs(), never(policy.SourceNamespace), Fate{Why: whoElse}},
		"own TTL":                        {theirs().TTL(30), after(policy.SourceJobTTL, 30*time.Second), Fate{TTL: new(int32(30)), Why: whoElse}},
		"own TTL of zero":                {theirs().TTL(0), after(policy.SourceJobTTL, 0), Fate{TTL: new(int32(0)), Why: whoElse}},
		"own TTL, raised":                {theirs().TTL(3600).Annotation(api.TTLAnnotation, "5"), after(policy.SourceJobTTL, 5*time.Second), Fate{TTL: new(int32(5)), Why: whoElse}},
		"own TTL, namespace looked into": {theirs().TTL(30), after(policy.SourceNamespace, 0), Fate{TTL: new(int32(30)), Why: whoElse}},
		"annotation, now":                {theirs().TTL(30), after(policy.SourceJob, 0), Fate{DeleteNow: true, Why: "the Job is deleted now"}},
		"annotation, later":              {theirs().TTL(30), after(policy.SourceJob, time.Minute), Fate{TTL: new(int32(60)), Why: "the Job is deleted 1m after its end"}},
		"annotation, never":              {theirs().TTL(30), never(policy.SourceJob), Fate{Why: "the Job is kept"}},
	} {
		t.Run(name, func(t *testing.T) {
			job := test.job.Obj()
			before := job.DeepCopy()
			got := FateOf(Observation{Job: job, Policy: policy.Policy{DeleteAfterSuccess: test.setting}}, jobstatus.Of(job), api.CaptureComplete)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if diff := cmp.Diff(before, job); diff != "" {
				t.Errorf("the Job itself changed:\n%s", diff)
			}
			// What becomes of the TTL must not reach back into the Job.
			if got.TTL != nil && got.TTL == job.Spec.TTLSecondsAfterFinished {
				t.Error("the TTL is shared with the Job")
			}
		})
	}
}

func TestApplyFate(t *testing.T) {
	for name, test := range map[string]struct {
		fate    Fate
		job     *jobtest.JobBuilder
		want    ttl
		changed bool
	}{
		"deleted now, no TTL":        {Fate{DeleteNow: true}, done(), ttl{}, false},
		"deleted now, TTL raised":    {Fate{DeleteNow: true}, done().TTL(3600).Annotation(api.TTLAnnotation, "0"), ttl{new(int32(3600)), "0"}, false},
		"kept, no TTL":               {Fate{}, done(), ttl{}, false},
		"kept, a TTL":                {Fate{}, done().TTL(5), ttl{}, true},
		"kept, a raised TTL":         {Fate{}, done().TTL(3600).Annotation(api.TTLAnnotation, "5"), ttl{}, true},
		"kept, a record alone":       {Fate{}, done().Annotation(api.TTLAnnotation, "5"), ttl{}, true},
		"later, no TTL":              {Fate{TTL: new(int32(9))}, done(), ttl{new(int32(9)), ""}, true},
		"later, that TTL":            {Fate{TTL: new(int32(9))}, done().TTL(9), ttl{new(int32(9)), ""}, false},
		"later, another TTL":         {Fate{TTL: new(int32(9))}, done().TTL(8), ttl{new(int32(9)), ""}, true},
		"later, raised":              {Fate{TTL: new(int32(9))}, done().TTL(3600).Annotation(api.TTLAnnotation, "9"), ttl{new(int32(9)), ""}, true},
		"later, raised to just that": {Fate{TTL: new(int32(3600))}, done().TTL(3600).Annotation(api.TTLAnnotation, "9"), ttl{new(int32(3600)), ""}, true},
		"now by TTL of another's":    {Fate{TTL: new(int32(0))}, done().TTL(3600).Annotation(api.TTLAnnotation, "0"), ttl{new(int32(0)), ""}, true},
	} {
		t.Run(name, func(t *testing.T) {
			job := test.job.Annotation("kept", "yes").Obj()
			before := job.DeepCopy()
			if changed := test.fate.apply(job); changed != test.changed {
				t.Errorf("changed is %t, want %t", changed, test.changed)
			}
			if diff := cmp.Diff(test.want, ttlOf(job)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			onlyTTL(t, before, job)
			if test.fate.apply(job) {
				t.Error("it changed the Job twice")
			}
		})
	}
}

// The delay that a Job gets, from all that can be set at once to nothing.
func TestDelayPrecedence(t *testing.T) {
	const job, namespace, flag = time.Minute, time.Hour, 24 * time.Hour
	defaults := policy.Defaults{DeleteAfterSuccess: &policy.Delay{After: flag}, DeleteAfterFailure: &policy.Delay{After: 2 * flag}}
	annotations := map[string]string{api.DeleteAfterSuccessAnnotation: "1h", api.DeleteAfterFailureAnnotation: "2h"}
	annotate := func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
		return b.Annotation(api.DeleteAfterSuccessAnnotation, "1m").Annotation(api.DeleteAfterFailureAnnotation, "2m")
	}
	own := func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.TTL(5) }
	raised := func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.TTL(3600).Annotation(api.TTLAnnotation, "6") }
	type change = func(*jobtest.JobBuilder) *jobtest.JobBuilder
	ttlOf := func(d time.Duration) *int32 { return new(int32(d / time.Second)) }
	for name, test := range map[string]struct {
		change           change
		namespace        map[string]string
		defaults         policy.Defaults
		success, failure Fate
	}{
		"Job, TTL, Namespace and flag": {
			func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return annotate(own(b)) }, annotations, defaults,
			Fate{TTL: ttlOf(job)},
			Fate{TTL: ttlOf(2 * job)},
		},
		"Job, raised TTL, Namespace and flag": {
			func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return annotate(raised(b)) }, annotations, defaults,
			Fate{TTL: ttlOf(job)},
			Fate{TTL: ttlOf(2 * job)},
		},
		"TTL, Namespace and flag":        {own, annotations, defaults, Fate{TTL: new(int32(5))}, Fate{TTL: new(int32(5))}},
		"raised TTL, Namespace and flag": {raised, annotations, defaults, Fate{TTL: new(int32(6))}, Fate{TTL: new(int32(6))}},
		"Namespace and flag":             {nil, annotations, defaults, Fate{TTL: ttlOf(namespace)}, Fate{TTL: ttlOf(2 * namespace)}},
		"flag":                           {nil, nil, defaults, Fate{TTL: ttlOf(flag)}, Fate{TTL: ttlOf(2 * flag)}},
		"nothing":                        {nil, nil, policy.Defaults{}, Fate{DeleteNow: true}, Fate{}},
		"TTL of zero":                    {func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.TTL(0) }, annotations, defaults, Fate{DeleteNow: true}, Fate{DeleteNow: true}},
		"an invalid annotation and TTL": {
			func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
				return b.TTL(5).Annotation(api.DeleteAfterSuccessAnnotation, "soon")
			}, annotations, defaults, Fate{TTL: new(int32(5))}, Fate{TTL: new(int32(5))},
		},
		"one annotation of the two": {
			func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
				return b.Annotation(api.DeleteAfterSuccessAnnotation, api.Never)
			}, annotations, defaults, Fate{}, Fate{TTL: ttlOf(2 * namespace)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, outcome := range []struct {
				job  *jobtest.JobBuilder
				want Fate
			}{{done(), test.success}, {failed(), test.failure}} {
				if test.change != nil {
					test.change(outcome.job)
				}
				got := fateWith(outcome.job.Obj(), test.namespace, test.defaults)
				got.Why = ""
				if diff := cmp.Diff(outcome.want, got); diff != "" {
					t.Errorf("%s: -want +got\n%s", jobstatus.Of(outcome.job.Obj()).Phase, diff)
				}
			}
		})
	}
}

func fateWith(job *batchv1.Job, namespace map[string]string, defaults policy.Defaults) Fate {
	p, _ := policy.Resolve(job, namespace, defaults)
	return FateOf(Observation{Job: job, Policy: p}, jobstatus.Of(job), api.CaptureComplete)
}
