package plan

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

// A situation is one element of everything that Decide can meet, in the words
// of the contract. decision says what the contract wants there; it shares no
// code with the rules.
type situation struct {
	phase    phase
	status   bool // the Job carries a status, true or forged
	unstored bool // this process knows better
	deleting bool
	ttl      ttlState
	owner    owner
	delay    delay
	capture  string
}

type phase struct {
	name     string
	set      func(*jobtest.JobBuilder)
	finished bool
	failed   bool
}

var phases = []phase{
	{name: "running", set: func(b *jobtest.JobBuilder) { b.Started(finished) }},
	{name: "suspended", set: func(b *jobtest.JobBuilder) { b.Suspended() }},
	{name: "completed", set: func(b *jobtest.JobBuilder) { b.Completed(finished) }, finished: true},
	{name: "failed", set: func(b *jobtest.JobBuilder) { b.Failed(finished, "", "") }, finished: true, failed: true},
	{name: "both", set: func(b *jobtest.JobBuilder) { b.Completed(finished).Failed(finished, "", "") }, finished: true, failed: true},
}

// ttlState is spec.ttlSecondsAfterFinished and what is recorded of its origin.
type ttlState struct {
	name     string
	spec     *int32
	recorded *int32
	// legacy is true of a record of the previous version, void of one that the user
	// has overridden since.
	legacy, void bool
}

var ttlStates = []ttlState{
	{name: "no TTL"},
	{name: "TTL 0", spec: ptr.To[int32](0)},
	{name: "TTL below the floor", spec: ptr.To[int32](20)},
	{name: "TTL raised from 0", spec: ptr.To[int32](3600), recorded: ptr.To[int32](0)},
	{name: "TTL raised from below", spec: ptr.To[int32](3600), recorded: ptr.To[int32](20)},
	{name: "TTL raised from below by the previous version", spec: ptr.To[int32](3600), recorded: ptr.To[int32](20), legacy: true},
	{name: "TTL raised, then raised by the user", spec: ptr.To[int32](86400), recorded: ptr.To[int32](20), void: true},
	{name: "TTL raised, then lowered by the user", spec: ptr.To[int32](600), recorded: ptr.To[int32](20), void: true},
	{name: "TTL raised, then removed by the user", recorded: ptr.To[int32](20), void: true},
	{name: "TTL above the floor", spec: ptr.To[int32](7200)},
}

// record is what is recorded: the user's TTL, and what it was raised to.
func (s ttlState) record() string {
	if s.legacy {
		return fmt.Sprint(*s.recorded)
	}
	return fmt.Sprintf("%d;raised=3600", *s.recorded)
}

func (s ttlState) own() *int32 {
	if s.recorded != nil && !s.void {
		return s.recorded
	}
	return s.spec
}

type owner struct {
	name    string
	set     func(*jobtest.JobBuilder)
	ours    bool
	tracked bool
}

var owners = []owner{
	{name: "nobody's", set: func(*jobtest.JobBuilder) {}, ours: true},
	{name: "CronJob's", set: func(b *jobtest.JobBuilder) { b.OwnedBy("batch/v1", "CronJob", "c", "u") }, ours: true},
	{name: "another's", set: func(b *jobtest.JobBuilder) { b.OwnedBy("x.io/v1", "JobSet", "s", "u") }},
	{name: "managed by another", set: func(b *jobtest.JobBuilder) { b.ManagedBy("x.io/y") }},
	{name: "hook", set: func(b *jobtest.JobBuilder) { b.Annotation(helmHook, "test") }},
	{name: "tracked", set: func(b *jobtest.JobBuilder) { b.Annotation(argoTracking, "x") }, tracked: true},
	{name: "marked by the operator", set: func(b *jobtest.JobBuilder) { b.Label("kept", "x") }, tracked: true},
}

// delay is what one source says about both ways to end; ttlSecondsAfterFinished
// is a ttlState.
type delay struct {
	source policy.Source
	value  string
	// seconds is -1 for never.
	seconds int32
}

var delays = func() []delay {
	all := []delay{{source: policy.SourceDefault}}
	for _, source := range []policy.Source{policy.SourceJob, policy.SourceNamespace, policy.SourceFlag} {
		all = append(all, delay{source, "0s", 0}, delay{source, "never", -1}, delay{source, "10m", 600})
	}
	return all
}()

var captures = []string{"", api.CaptureComplete, incomplete, kept}

// seconds returns the delay that holds, -1 for never.
func (s situation) seconds() int32 {
	own := s.ttl.own()
	switch {
	case s.delay.source == policy.SourceJob:
		return s.delay.seconds
	case own != nil:
		return *own
	case s.delay.source != policy.SourceDefault:
		return s.delay.seconds
	case s.phase.failed || s.capture == kept:
		return -1
	default:
		return 0
	}
}

// wanted is a decision without the Job: what TTL it should have, and what is
// recorded of the user's own.
type wanted struct {
	Action    Action
	Changes   bool
	TTL       *int32
	Recorded  *int32
	Annotated bool // the status and the capture are still there
}

func (w wanted) equal(other wanted) bool {
	return w.Action == other.Action && w.Changes == other.Changes && w.Annotated == other.Annotated &&
		ptr.Equal(w.TTL, other.TTL) && ptr.Equal(w.Recorded, other.Recorded)
}

func (s situation) decision() wanted {
	stay := wanted{TTL: s.ttl.spec, Recorded: s.ttl.recorded, Annotated: true}
	below := s.ttl.spec != nil && *s.ttl.spec < 3600 && !s.owner.tracked
	void := s.ttl.void
	switch {
	case s.deleting && (!s.phase.finished || s.status && !s.unstored):
		stay.Action = Leave
	case !s.phase.finished && (below || void || s.status || s.capture != ""):
		return s.restamped(below)
	case !s.phase.finished && s.phase.name == "suspended":
		stay.Action = Leave
	case !s.phase.finished:
		stay.Action = Wait
	case !s.status || s.unstored:
		stay.Action = Store
		switch {
		case s.deleting || s.owner.tracked:
		case below:
			// A minute has passed since the end.
			return wanted{Action: Store, Changes: true, TTL: new(int32(3660)), Recorded: s.ttl.spec, Annotated: true}
		case void:
			return wanted{Action: Store, Changes: true, TTL: s.ttl.spec, Annotated: true}
		}
	default:
		return s.afterStoring(stay)
	}
	return stay
}

func (s situation) restamped(below bool) wanted {
	if below {
		return wanted{Action: Change, Changes: true, TTL: new(int32(3600)), Recorded: s.ttl.spec}
	}
	restamped := wanted{Action: Change, Changes: true, TTL: s.ttl.spec, Recorded: s.ttl.recorded}
	if s.ttl.void {
		restamped.Recorded = nil
	}
	return restamped
}

func (s situation) afterStoring(stay wanted) wanted {
	var ttl *int32
	seconds := s.seconds()
	switch {
	case !s.owner.ours && s.delay.source != policy.SourceJob:
		ttl = s.ttl.own()
	case s.capture == kept && s.delay.source != policy.SourceJob:
		if s.ttl.recorded == nil || s.ttl.void {
			ttl = s.ttl.spec
		}
	case seconds == 0:
		stay.Action = Delete
		return stay
	case seconds > 0:
		ttl = &seconds
	}
	if s.ttl.recorded == nil && ptr.Equal(ttl, s.ttl.spec) {
		stay.Action = Leave
		return stay
	}
	return wanted{Action: Change, Changes: true, TTL: ttl, Annotated: true}
}

func (s situation) observe(b *jobtest.JobBuilder) Observation {
	namespace := map[string]string{}
	var defaults policy.Defaults
	switch s.delay.source {
	case policy.SourceNamespace:
		namespace[api.DeleteAfterSuccessAnnotation] = s.delay.value
		namespace[api.DeleteAfterFailureAnnotation] = s.delay.value
	case policy.SourceFlag:
		parsed, _ := policy.ParseDelay(s.delay.value)
		defaults = policy.Defaults{DeleteAfterSuccess: &parsed, DeleteAfterFailure: &parsed}
	}
	defaults.LeftAlone = policy.LeftAlone{Labels: []policy.Mark{{Key: "kept"}}}
	p, _ := policy.Resolve(b.Obj(), namespace, defaults)
	return Observation{Job: b.Obj(), Policy: p, Unstored: s.unstored, TTLFloor: floor}
}

func (s situation) build() *jobtest.JobBuilder {
	b := stamped()
	s.phase.set(b)
	s.owner.set(b)
	if s.status {
		b.Annotation(api.StatusAnnotation, api.StatusCompleted)
	}
	if s.capture != "" {
		b.Annotation(api.CaptureAnnotation, s.capture)
	}
	if s.deleting {
		deleting(b)
	}
	if s.ttl.spec != nil {
		b.TTL(*s.ttl.spec)
	}
	if s.ttl.recorded != nil {
		b.Annotation(api.TTLAnnotation, s.ttl.record())
	}
	if s.delay.source == policy.SourceJob {
		b.Annotation(api.DeleteAfterSuccessAnnotation, s.delay.value).Annotation(api.DeleteAfterFailureAnnotation, s.delay.value)
	}
	return b
}

func (s situation) String() string {
	return fmt.Sprintf("%s, %s, %s, delay %q by %s, status %t, known unstored %t, deleting %t, capture %q",
		s.phase.name, s.ttl.name, s.owner.name, s.delay.value, s.delay.source, s.status, s.unstored, s.deleting, s.capture)
}

func situations() []situation {
	all := []situation{{}}
	all = cross(all, phases, func(s *situation, p phase) { s.phase = p })
	all = cross(all, ttlStates, func(s *situation, t ttlState) { s.ttl = t })
	all = cross(all, owners, func(s *situation, o owner) { s.owner = o })
	all = cross(all, delays, func(s *situation, d delay) { s.delay = d })
	all = cross(all, captures, func(s *situation, c string) { s.capture = c })
	all = cross(all, []bool{false, true}, func(s *situation, v bool) { s.status = v })
	all = cross(all, []bool{false, true}, func(s *situation, v bool) { s.unstored = v })
	return cross(all, []bool{false, true}, func(s *situation, v bool) { s.deleting = v })
}

func cross[T any](all []situation, values []T, set func(*situation, T)) []situation {
	crossed := make([]situation, 0, len(all)*len(values))
	for _, s := range all {
		for _, value := range values {
			set(&s, value)
			crossed = append(crossed, s)
		}
	}
	return crossed
}

func TestDecideInEverySituation(t *testing.T) {
	counts := map[Action]int{}
	for _, s := range situations() {
		want := s.decision()
		o := s.observe(s.build())
		before := s.build().Obj().Annotations
		decision := Decide(o, now)
		counts[decision.Action]++

		job := decision.Desired
		if job == nil {
			job = o.Job
		}
		got := wanted{Action: decision.Action, Changes: decision.Desired != nil, TTL: job.Spec.TTLSecondsAfterFinished}
		if recorded, set := job.Annotations[api.TTLAnnotation]; set {
			var seconds int32
			if _, err := fmt.Sscan(recorded, &seconds); err != nil {
				t.Fatalf("%s: recorded %q: %v", s, recorded, err)
			}
			got.Recorded = &seconds
		}
		got.Annotated = job.Annotations[api.StatusAnnotation] == before[api.StatusAnnotation] &&
			job.Annotations[api.CaptureAnnotation] == before[api.CaptureAnnotation]
		if !s.status && s.capture == "" {
			want.Annotated = true
		}
		// Tens of thousands: the difference is worked out only where there is one.
		if !got.equal(want) {
			t.Fatalf("%s: -want +got\n%s", s, cmp.Diff(want, got))
		}
		if decision.Why == "" {
			t.Fatalf("%s: nothing says why", s)
		}
	}
	t.Log(counts)
	for _, action := range []Action{Leave, Wait, Change, Store, Delete} {
		if counts[action] < 100 {
			t.Errorf("only %d situations end in %s: the test does not cover it", counts[action], action)
		}
	}
}
