package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

// stamped is a Job as the webhook leaves it.
func stamped() *jobtest.JobBuilder { return stamp(makeJob()) }

func stamp(b *jobtest.JobBuilder) *jobtest.JobBuilder {
	return b.Label(api.EnabledLabel, api.True).TemplateLabel(api.EnabledLabel, api.True).
		Annotation(api.ResultsNameAnnotation, "report-results")
}

// stored is a Job as Report leaves it.
func stored(b *jobtest.JobBuilder) *jobtest.JobBuilder {
	return stamp(b).Annotation(api.StatusAnnotation, api.StatusCompleted).Annotation(api.CaptureAnnotation, api.CaptureComplete)
}

func observe(job *batchv1.Job) Observation {
	p, _ := policy.Resolve(job, nil, policy.Defaults{})
	return Observation{Job: job, Policy: p, TTLFloor: floor}
}

func decide(t *testing.T, o Observation) Decision {
	t.Helper()
	before := o.Job.DeepCopy()
	decision := Decide(o, now)
	if diff := cmp.Diff(before, o.Job); diff != "" {
		t.Fatalf("the observed Job changed:\n%s", diff)
	}
	return decision
}

func TestDecide(t *testing.T) {
	left := func(why string) Decision { return Decision{Action: Leave, Why: why} }
	wait := Decision{Action: Wait, Why: "running"}
	store := Decision{Action: Store, Why: "finished and not stored"}
	for name, test := range map[string]struct {
		job  *jobtest.JobBuilder
		want Decision
	}{
		"new":                            {stamped(), wait},
		"started":                        {stamped().Started(finished), wait},
		"started, a TTL at the floor":    {stamped().TTL(3600), wait},
		"started, TTL raised":            {stamped().TTL(3600).Annotation(api.TTLAnnotation, "0"), wait},
		"tracked, a TTL below the floor": {stamped().TTL(10).Annotation(argoTracking, "x"), wait},
		"suspended":                      {stamped().Suspended(), left("suspended")},
		"suspended after it started":     {stamped().Suspended().Started(finished), left("suspended")},
		"deleted while running":          {deleting(stamped()), left("deleted before it finished")},
		"deleted while suspended":        {deleting(stamped().Suspended()), left("deleted before it finished")},
		"deleted, never stamped":         {deleting(makeJob().TTL(0)), left("deleted before it finished")},
		"deleted, a forged status":       {deleting(stored(makeJob())), left("deleted before it finished")},

		"completed":                         {stamp(done()), store},
		"failed":                            {stamp(failed()), store},
		"completed while suspended":         {stamp(done()).Suspended(), store},
		"completed, never stamped":          {done(), store},
		"completed, an empty status":        {stamp(done()).Annotation(api.StatusAnnotation, ""), store},
		"completed, a capture alone":        {stamp(done()).Annotation(api.CaptureAnnotation, kept), store},
		"completed and being deleted":       {deleting(stamp(done()).TTL(0)), store},
		"completed, a CronJob's":            {stamp(byCronJob().Completed(finished)), store},
		"completed, a TTL far enough ahead": {stamp(done()).TTL(3600), store},

		"stored, success":                     {stored(done()), Decision{Action: Delete, Why: "the Job is deleted now"}},
		"stored, failure":                     {stored(failed()), left("the Job is kept")},
		"stored, a forged status word":        {stored(done()).Annotation(api.StatusAnnotation, "x"), Decision{Action: Delete, Why: "the Job is deleted now"}},
		"stored, success, capture kept":       {stored(done()).Annotation(api.CaptureAnnotation, kept), left("the Job is kept for its logs")},
		"stored, success, capture incomplete": {stored(done()).Annotation(api.CaptureAnnotation, incomplete), Decision{Action: Delete, Why: "the Job is deleted now"}},
		"stored, deleted by its own TTL":      {stored(done()).TTL(5), left("the Job is deleted 5s after its end")},
		"stored, another's":                   {stored(done()).OwnedBy("v1", "Pod", "p", "u"), left("the Job is left alone: it is owned by Pod p")},
		"stored, a CronJob's":                 {stored(byCronJob().Completed(finished)), Decision{Action: Delete, Why: "the Job is deleted now"}},
		"stored and being deleted":            {deleting(stored(done()).TTL(10).Annotation(api.DeleteAfterSuccessAnnotation, "5s")), left("stored and already being deleted")},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, decide(t, observe(test.job.Obj()))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// What this process knows counts for more than what the Job claims.
func TestDecideKnownUnstored(t *testing.T) {
	for name, test := range map[string]struct {
		job  *jobtest.JobBuilder
		want Decision
	}{
		"finished, not stored": {stamp(done()), Decision{Action: Store, Why: "finished and not stored"}},
		"finished, a claim":    {stored(done()), Decision{Action: Store, Why: "finished and not stored"}},
		"being deleted":        {deleting(stored(done())), Decision{Action: Store, Why: "finished and not stored"}},
		"not finished":         {stamped(), Decision{Action: Wait, Why: "running"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := observe(test.job.Obj())
			o.Unstored = true
			if diff := cmp.Diff(test.want, decide(t, o)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestDecideChangesUnfinished(t *testing.T) {
	want := func(b *jobtest.JobBuilder) *batchv1.Job { return b.Obj() }
	for name, test := range map[string]struct {
		job  *jobtest.JobBuilder
		want *batchv1.Job
	}{
		"a forged status": {
			stamped().Annotation(api.StatusAnnotation, api.StatusCompleted).Annotation("kept", "yes"),
			want(stamped().Annotation("kept", "yes")),
		},
		"a forged, empty status":        {stamped().Annotation(api.StatusAnnotation, ""), want(stamped())},
		"a forged capture":              {stamped().Annotation(api.CaptureAnnotation, kept), want(stamped())},
		"a forged status and capture":   {stored(makeJob()), want(stamped())},
		"a forged status, suspended":    {stored(makeJob().Suspended()), want(stamped().Suspended())},
		"a TTL below the floor":         {stamped().TTL(10), want(stamped().TTL(3600).Annotation(api.TTLAnnotation, "10;raised=3600"))},
		"a TTL put below the floor":     {stamped().TTL(9).Annotation(api.TTLAnnotation, "10;raised=3600"), want(stamped().TTL(3600).Annotation(api.TTLAnnotation, "9;raised=3600"))},
		"a raised TTL, raised further":  {stamped().TTL(7200).Annotation(api.TTLAnnotation, "10;raised=3600"), want(stamped().TTL(7200))},
		"a raised TTL, removed":         {stamped().Annotation(api.TTLAnnotation, "10;raised=3600"), want(stamped())},
		"a TTL below the floor, paused": {stamped().TTL(10).Suspended(), want(stamped().TTL(3600).Annotation(api.TTLAnnotation, "10;raised=3600").Suspended())},
		"no results name": {
			makeJob().Label(api.EnabledLabel, api.True),
			want(makeJob().Label(api.EnabledLabel, api.True).Annotation(api.ResultsNameAnnotation, "report-results")),
		},
		"no label": {
			makeJob().Annotation(api.ResultsNameAnnotation, "x-results"),
			want(makeJob().Label(api.EnabledLabel, api.True).Annotation(api.ResultsNameAnnotation, "x-results")),
		},
		"a template that cannot be changed": {
			makeJob().Suspended().Started(finished),
			want(makeJob().Suspended().Started(finished).Label(api.EnabledLabel, api.True).
				Annotation(api.ResultsNameAnnotation, "report-results")),
		},
		"a template that can still be changed": {makeJob().Suspended(), want(stamped().Suspended())},
		"only the template": {
			makeJob().Suspended().Label(api.EnabledLabel, api.True).Annotation(api.ResultsNameAnnotation, "report-results"),
			want(stamped().Suspended()),
		},
	} {
		t.Run(name, func(t *testing.T) {
			decision := decide(t, observe(test.job.Obj()))
			wanted := Decision{Action: Change, Desired: test.want, Why: "a stamp is missing or a status is forged"}
			if diff := cmp.Diff(wanted, decision); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestDecideHoldsUnstored(t *testing.T) {
	decision := decide(t, observe(stamp(done()).TTL(10).Obj()))
	want := Decision{
		Action: Store, Why: "finished and not stored",
		Desired: stamp(done()).TTL(60+3600).Annotation(api.TTLAnnotation, "10;raised=3660").Obj(),
	}
	if diff := cmp.Diff(want, decision); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestDecideChangesStored(t *testing.T) {
	for name, test := range map[string]struct {
		job, want *jobtest.JobBuilder
		why       string
	}{
		"the TTL is put back": {
			stored(done()).TTL(3600).Annotation(api.TTLAnnotation, "10"), stored(done()).TTL(10),
			"the Job is deleted 10s after its end",
		},
		"of another's Job too": {
			stored(makeJob().OwnedBy("v1", "Pod", "p", "u").Completed(finished)).TTL(3600).Annotation(api.TTLAnnotation, "0"),
			stored(makeJob().OwnedBy("v1", "Pod", "p", "u").Completed(finished)).TTL(0),
			"the Job is left alone: it is owned by Pod p",
		},
		"an annotation changed to later": {
			stored(failed()).Annotation(api.DeleteAfterFailureAnnotation, "2m"),
			stored(failed()).Annotation(api.DeleteAfterFailureAnnotation, "2m").TTL(120),
			"the Job is deleted 2m after its end",
		},
		"an annotation changed to never": {
			stored(done()).Annotation(api.DeleteAfterSuccessAnnotation, "never").TTL(120),
			stored(done()).Annotation(api.DeleteAfterSuccessAnnotation, "never"),
			"the Job is kept",
		},
	} {
		t.Run(name, func(t *testing.T) {
			decision := decide(t, observe(test.job.Obj()))
			if diff := cmp.Diff(Decision{Action: Change, Desired: test.want.Obj(), Why: test.why}, decision); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestTemplateMutable(t *testing.T) {
	for name, test := range map[string]struct {
		job  *jobtest.JobBuilder
		want bool
	}{
		"running":                    {makeJob(), false},
		"running, started":           {makeJob().Started(finished), false},
		"suspended, never started":   {makeJob().Suspended(), true},
		"suspended after it started": {makeJob().Suspended().Started(finished), false},
		"finished while suspended":   {makeJob().Suspended().Failed(finished, "", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := TemplateMutable(test.job.Obj()); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestReport(t *testing.T) {
	name := func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
		return b.Annotation(api.ResultsNameAnnotation, "report-results-12345678")
	}
	for test, c := range map[string]struct {
		job, want *jobtest.JobBuilder
		capture   string
	}{
		"completed":               {stamp(done()), name(stored(done())), api.CaptureComplete},
		"never stamped":           {done(), name(stored(done())), api.CaptureComplete},
		"incomplete":              {stamp(done()), name(stored(done())).Annotation(api.CaptureAnnotation, incomplete), incomplete},
		"failed":                  {stamp(failed()), name(stored(failed())).Annotation(api.StatusAnnotation, api.StatusFailed), api.CaptureComplete},
		"a forged status":         {stored(failed()).Annotation(api.CaptureAnnotation, kept), name(stored(failed())).Annotation(api.StatusAnnotation, api.StatusFailed), api.CaptureComplete},
		"a raised TTL, put back":  {stamp(done()).TTL(3600).Annotation(api.TTLAnnotation, "10"), name(stored(done())).TTL(10), api.CaptureComplete},
		"deleted now, still held": {stamp(done()).TTL(3600).Annotation(api.TTLAnnotation, "0"), name(stored(done())).TTL(3600).Annotation(api.TTLAnnotation, "0"), api.CaptureComplete},
		"kept, so not deleted":    {stamp(done()).Annotation(api.DeleteAfterSuccessAnnotation, "1m"), name(stored(done())).Annotation(api.DeleteAfterSuccessAnnotation, "1m").Annotation(api.CaptureAnnotation, kept), kept},
		"in a Secret":             {stamp(done()).Annotation(api.ResultsKindAnnotation, api.ResultsKindSecret), name(stored(done())).Annotation(api.ResultsKindAnnotation, api.ResultsKindSecret), api.CaptureComplete},
		"deleted later":           {stamp(done()).Annotation(api.DeleteAfterSuccessAnnotation, "1m"), name(stored(done())).Annotation(api.DeleteAfterSuccessAnnotation, "1m").TTL(60), api.CaptureComplete},
	} {
		t.Run(test, func(t *testing.T) {
			// The template's label is the webhook's to set.
			want := c.want.Obj()
			want.Labels, want.Spec.Template.Labels = c.job.Obj().Labels, c.job.Obj().Spec.Template.Labels
			o := observe(c.job.Obj())
			before := o.Job.DeepCopy()
			if diff := cmp.Diff(want, Report(o, "report-results-12345678", c.capture)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if diff := cmp.Diff(before, o.Job); diff != "" {
				t.Errorf("the observed Job changed:\n%s", diff)
			}
		})
	}
}

// What the Namespace wants may change after a Job is stored.
func TestReportKeepsTheKind(t *testing.T) {
	o := observe(done().Obj())
	if kind := ResultsKind(Report(o, "x-results", api.CaptureComplete)); kind != api.ResultsKindConfigMap {
		t.Errorf("got %s", kind)
	}
	o.Policy, _ = policy.Resolve(o.Job, map[string]string{api.ResultsKindAnnotation: api.ResultsKindSecret}, policy.Defaults{})
	if kind := ResultsKind(Report(o, "x-results", api.CaptureComplete)); kind != api.ResultsKindSecret {
		t.Errorf("got %s", kind)
	}
}

func TestStored(t *testing.T) {
	for name, test := range map[string]struct {
		annotations map[string]string
		want        bool
	}{
		"no annotations":  {nil, false},
		"completed":       {map[string]string{api.StatusAnnotation: api.StatusCompleted}, true},
		"failed":          {map[string]string{api.StatusAnnotation: api.StatusFailed}, true},
		"empty":           {map[string]string{api.StatusAnnotation: ""}, false},
		"a capture alone": {map[string]string{api.CaptureAnnotation: api.CaptureComplete}, false},
	} {
		t.Run(name, func(t *testing.T) {
			job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Annotations: test.annotations}}
			if got := Stored(job); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
