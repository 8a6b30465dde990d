package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

const protectDeadline = time.Hour

// wish is what Job, Namespace and flag say about protection.
type wish struct {
	job, namespace string
	flag           bool
	wanted, asked  bool
}

var wishes = []wish{
	{},
	{flag: true, wanted: true},
	{job: api.True, wanted: true, asked: true},
	{job: api.False, flag: true, asked: true},
	{namespace: api.True, wanted: true, asked: true},
	{namespace: api.False, flag: true, asked: true},
	{job: "yes"},
	{job: "yes", namespace: api.False, asked: true},
}

// protection is one element of everything that decides about the finalizer.
// decision says what the contract wants there; it shares no code with the rules.
type protection struct {
	phase       phase
	wish        wish
	child       bool
	history     bool
	terminating bool
	finalizer   bool
	stored      bool
	// age is how long ago the Job was deleted, -1 if it was not.
	age time.Duration
}

// outcome is what is looked at of a decision.
type outcome struct {
	Action    Action
	Finalizer bool
	Released  Released
	Overdue   bool
}

func (p protection) deleted() bool { return p.age >= 0 }

// protected is whether the finalizer belongs on the Job while it is not stored.
func (p protection) protected() bool {
	byHistory := p.child && (p.history || p.finalizer) && !p.wish.asked
	return !p.terminating && (p.wish.wanted || byHistory)
}

func (p protection) outcome() outcome {
	switch {
	case p.terminating && p.finalizer && p.deleted():
		return outcome{Change, false, ReleasedNamespace, false}
	case p.deleted() && p.finalizer && !p.protected():
		return outcome{Change, false, ReleasedWithdrawn, false}
	case p.deleted() && p.finalizer && !p.phase.finished:
		return outcome{Change, false, ReleasedUnfinished, false}
	case p.phase.finished && p.stored:
		return p.afterStoring()
	case p.deleted() && !p.phase.finished:
		return outcome{Leave, false, NotReleased, false}
	}
	want := outcome{Finalizer: p.protected() && (p.finalizer || !p.deleted())}
	switch {
	case p.finalizer && p.terminating:
		want.Released = ReleasedNamespace
	case p.finalizer && !want.Finalizer:
		want.Released = ReleasedWithdrawn
	}
	switch {
	case p.phase.finished:
		want.Action, want.Overdue = Store, p.finalizer && p.age >= protectDeadline
	case want.Finalizer != p.finalizer, p.stored:
		want.Action = Change
	case p.phase.name == "suspended":
		want.Action = Leave
	default:
		want.Action = Wait
	}
	return want
}

func (p protection) afterStoring() outcome {
	switch {
	case p.finalizer:
		return outcome{Change, false, ReleasedStored, p.age >= protectDeadline}
	case p.deleted(), p.phase.failed:
		return outcome{Leave, false, NotReleased, false}
	default:
		return outcome{Delete, false, NotReleased, false}
	}
}

func (p protection) observe() Observation {
	b := stamped()
	if p.child {
		b = stamp(byCronJob())
	}
	p.phase.set(b)
	if p.stored {
		b.Annotation(api.StatusAnnotation, api.StatusCompleted)
	}
	if p.wish.job != "" {
		b.Annotation(api.ProtectAnnotation, p.wish.job)
	}
	job := b.Obj()
	if p.finalizer {
		job.Finalizers = []string{"example.com/theirs", api.ResultsFinalizer}
	}
	if p.deleted() {
		job.DeletionTimestamp = &metav1.Time{Time: now.Add(-p.age)}
	}
	namespace := map[string]string{}
	if p.wish.namespace != "" {
		namespace[api.ProtectAnnotation] = p.wish.namespace
	}
	resolved, _ := policy.Resolve(job, namespace, policy.Defaults{Protect: p.wish.flag})
	return Observation{
		Job: job, Policy: resolved, TTLFloor: floor, ProtectDeadline: protectDeadline,
		HistoryDeletes: p.history, NamespaceTerminating: p.terminating,
	}
}

func (p protection) String() string {
	return fmt.Sprintf("%s, wish %+v, child %t, history %t, terminating %t, finalizer %t, stored %t, deleted %s ago",
		p.phase.name, p.wish, p.child, p.history, p.terminating, p.finalizer, p.stored, p.age)
}

func TestDecideProtection(t *testing.T) {
	all := []protection{{}}
	all = crossed(all, phases, func(p *protection, v phase) { p.phase = v })
	all = crossed(all, wishes, func(p *protection, v wish) { p.wish = v })
	for _, set := range []func(*protection, bool){
		func(p *protection, v bool) { p.child = v },
		func(p *protection, v bool) { p.history = v },
		func(p *protection, v bool) { p.terminating = v },
		func(p *protection, v bool) { p.finalizer = v },
		func(p *protection, v bool) { p.stored = v },
	} {
		all = crossed(all, []bool{false, true}, set)
	}
	all = crossed(all, []time.Duration{-1, 0, protectDeadline - 1, protectDeadline, 2 * protectDeadline},
		func(p *protection, v time.Duration) { p.age = v })
	counts := map[Released]int{}
	for _, p := range all {
		o := p.observe()
		decision := decide(t, o)
		job := decision.Desired
		if job == nil {
			job = o.Job
		}
		got := outcome{decision.Action, policy.Protected(job), decision.Released, decision.Overdue}
		if want := p.outcome(); got != want {
			t.Fatalf("%s: -want +got\n%s", p, cmp.Diff(want, got))
		}
		if wantTheirs := p.finalizer; wantTheirs != (len(job.Finalizers) > 0 && job.Finalizers[0] == "example.com/theirs") {
			t.Fatalf("%s: finalizers %v", p, job.Finalizers)
		}
		counts[decision.Released]++
	}
	t.Log(counts)
	for _, reason := range []Released{NotReleased, ReleasedStored, ReleasedUnfinished, ReleasedNamespace, ReleasedWithdrawn} {
		if counts[reason] < 10 {
			t.Errorf("only %d situations end in release %q: the test does not cover it", counts[reason], reason)
		}
	}
}

func crossed[T any](all []protection, values []T, set func(*protection, T)) []protection {
	more := make([]protection, 0, len(all)*len(values))
	for _, p := range all {
		for _, value := range values {
			set(&p, value)
			more = append(more, p)
		}
	}
	return more
}

func TestDecideProtectsAndHoldsInOneChange(t *testing.T) {
	decision := decide(t, observe(stamp(done()).TTL(10).Annotation(api.ProtectAnnotation, api.True).Obj()))
	want := stamp(done()).TTL(60+3600).Annotation(api.TTLAnnotation, "10;raised=3660").Annotation(api.ProtectAnnotation, api.True).Obj()
	want.Finalizers = []string{api.ResultsFinalizer}
	if diff := cmp.Diff(Decision{Action: Store, Desired: want, Why: "finished and not stored"}, decision); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A Job that is being deleted by its own TTL, in the foreground, is not given
// more time: that would come too late.
func TestDecideHeldDeletionKeepsItsTTL(t *testing.T) {
	job := deleting(stamp(done()).TTL(10).Annotation(api.ProtectAnnotation, api.True)).Obj()
	job.Finalizers = []string{metav1.FinalizerDeleteDependents, api.ResultsFinalizer}
	o := observe(job)
	o.ProtectDeadline = protectDeadline
	if diff := cmp.Diff(Decision{Action: Store, Why: "finished and not stored"}, decide(t, o)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestReportLetsGo(t *testing.T) {
	job := stamp(done()).TTL(3600).Annotation(api.TTLAnnotation, "20").Annotation(api.ProtectAnnotation, api.True).Obj()
	job.Finalizers = []string{"a/b", api.ResultsFinalizer, "c/d"}
	reported := Report(observe(job), "report-results", api.CaptureComplete)
	if diff := cmp.Diff([]string{"a/b", "c/d"}, reported.Finalizers); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if !Stored(reported) || *reported.Spec.TTLSecondsAfterFinished != 20 {
		t.Errorf("not in the same change: %v", reported)
	}
}

func TestHistoryDeletes(t *testing.T) {
	started := finished.Add(-time.Hour)
	child := func(uid types.UID, after time.Duration) *jobtest.JobBuilder {
		return makeJob().UID(uid).Started(started.Add(after))
	}
	succeeded := func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.Completed(finished) }
	broken := func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.Failed(finished, "", "") }
	this := func() *jobtest.JobBuilder { return child("this", 0) }
	before := func() *jobtest.JobBuilder { return child("before", -time.Minute) }
	after := func() *jobtest.JobBuilder { return child("after", time.Minute) }
	later := func() *jobtest.JobBuilder { return child("later", time.Hour) }
	type others []*jobtest.JobBuilder
	for name, tc := range map[string]struct {
		job                *jobtest.JobBuilder
		successful, failed int32
		others             others
		want               bool
	}{
		"the defaults, alone":                  {this(), 3, 1, nil, false},
		"an earlier one runs still":            {this(), 3, 1, others{before()}, false},
		"a later one runs":                     {this(), 3, 1, others{after()}, true},
		"a later one runs, and it succeeded":   {succeeded(this()), 3, 1, others{after()}, false},
		"a later one runs, and it failed":      {broken(this()), 3, 1, others{after()}, true},
		"a later one failed":                   {this(), 3, 1, others{broken(after())}, true},
		"a later one failed, and it succeeded": {succeeded(this()), 3, 1, others{broken(after())}, false},
		"a later one succeeded":                {this(), 3, 1, others{succeeded(after())}, false},
		"three later ones succeeded":           {this(), 3, 2, others{succeeded(after()), succeeded(after()), succeeded(later())}, true},
		"three later ones ended, one so":       {this(), 3, 2, others{broken(after()), succeeded(after()), succeeded(later())}, false},
		"one started in the same second":       {this(), 3, 1, others{child("same", 0)}, true},
		"one has not started":                  {this(), 3, 1, others{makeJob().UID("new")}, true},
		"it has not started, others have":      {makeJob().UID("this"), 3, 1, others{later()}, false},
		"no successes":                         {this(), 0, 1, nil, true},
		"no successes, it succeeded":           {succeeded(this()), 0, 1, nil, true},
		"no successes, it failed":              {broken(this()), 0, 1, nil, false},
		"no failures":                          {this(), 3, 0, nil, true},
		"no failures, it succeeded":            {succeeded(this()), 3, 0, nil, false},
		"no failures, it failed":               {broken(this()), 3, 0, nil, true},
		"suspended, no successes":              {this().Suspended(), 0, 1, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			cronJob := jobtest.MakeCronJob("team", "nightly").History(tc.successful, tc.failed).Obj()
			children := []batchv1.Job{*tc.job.Obj()}
			for _, other := range tc.others {
				children = append(children, *other.Obj())
			}
			if got := deletes(cronJob, tc.job.Obj(), children); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
	if deletes(&batchv1.CronJob{}, this().Obj(), nil) {
		t.Error("limits that no API server leaves unset count as 0")
	}
}

func TestMayNeedHistory(t *testing.T) {
	for name, tc := range map[string]struct {
		job    *jobtest.JobBuilder
		change func(*Observation)
		want   bool
	}{
		"a CronJob's":                {job: stamp(byCronJob()), want: true},
		"a CronJob's, finished":      {job: stamp(byCronJob().Completed(finished)), want: true},
		"a CronJob's, stored":        {job: stored(byCronJob().Completed(finished))},
		"stored, but it is not":      {job: stored(byCronJob().Completed(finished)), change: func(o *Observation) { o.Unstored = true }, want: true},
		"a forged status":            {job: stored(byCronJob()), want: true},
		"nobody's":                   {job: stamped()},
		"another's":                  {job: stamped().OwnedBy("v1", "Pod", "p", "u")},
		"asked for":                  {job: stamp(byCronJob()).Annotation(api.ProtectAnnotation, api.True)},
		"refused":                    {job: stamp(byCronJob()).Annotation(api.ProtectAnnotation, api.False)},
		"by the operator":            {job: stamp(byCronJob()), change: func(o *Observation) { o.Policy.Protect = policy.Protection{Wanted: true, Source: policy.SourceFlag} }},
		"being deleted":              {job: deleting(stamp(byCronJob()))},
		"in a Namespace that goes":   {job: stamp(byCronJob()), change: func(o *Observation) { o.NamespaceTerminating = true }},
		"protected by history":       {job: stamp(byCronJob()), change: func(o *Observation) { o.Job.Finalizers = []string{api.ResultsFinalizer} }},
		"with a finalizer of others": {job: stamp(byCronJob()), change: func(o *Observation) { o.Job.Finalizers = []string{"a/b"} }, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.job.Obj())
			if tc.change != nil {
				tc.change(&o)
			}
			if got := MayNeedHistory(o); got != tc.want {
				t.Errorf("got %t", got)
			}
			// What is not asked for makes no difference.
			without, with := o, o
			with.HistoryDeletes = true
			differs := cmp.Diff(Decide(without, now), Decide(with, now)) != ""
			if differs != tc.want {
				t.Errorf("makes a difference: %t", differs)
			}
		})
	}
}

func TestHeldUntil(t *testing.T) {
	held := func(b *jobtest.JobBuilder) *batchv1.Job {
		b.Obj().Finalizers = []string{api.ResultsFinalizer}
		return b.Obj()
	}
	for name, tc := range map[string]struct {
		job  *batchv1.Job
		want time.Time
	}{
		"held":                    {held(deleting(done())), now.Add(protectDeadline)},
		"deleted, not protected":  {deleting(done()).Obj(), time.Time{}},
		"protected, not deleted":  {held(done()), time.Time{}},
		"neither":                 {done().Obj(), time.Time{}},
		"unfinished, as it is so": {held(deleting(makeJob())), now.Add(protectDeadline)},
	} {
		t.Run(name, func(t *testing.T) {
			until, is := HeldUntil(tc.job, protectDeadline)
			if !until.Equal(tc.want) || is == tc.want.IsZero() {
				t.Errorf("got %s, %t", until, is)
			}
		})
	}
}

func TestUnprotect(t *testing.T) {
	job := stamped().Obj()
	if Unprotect(job) != nil {
		t.Error("something was taken from a Job that has nothing")
	}
	job.Finalizers = []string{"a/b", api.ResultsFinalizer}
	before := job.DeepCopy()
	want := job.DeepCopy()
	want.Finalizers = []string{"a/b"}
	if diff := cmp.Diff(want, Unprotect(job)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff(before, job); diff != "" {
		t.Errorf("the Job itself changed:\n%s", diff)
	}
}
