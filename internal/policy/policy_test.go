package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

type annotations = map[string]string

func after(d time.Duration) Delay { return Delay{After: d} }

// builtIn is what a Job named job gets where nobody says anything.
func builtIn() Policy {
	return Policy{
		ResultsName:        "job-results",
		LogMode:            api.LogModeFull,
		ResultsKind:        api.ResultsKindConfigMap,
		ResultsTTL:         Delay{Never: true},
		DeleteAfterSuccess: SourcedDelay{after(0), SourceDefault},
		DeleteAfterFailure: SourcedDelay{Delay{Never: true}, SourceDefault},
		Protect:            Protection{Source: SourceDefault},
	}
}

func job() *jobtest.JobBuilder { return jobtest.MakeJob("ns", "job") }

func TestResolveDefaults(t *testing.T) {
	got, problems := Resolve(job().Obj(), nil, Defaults{})
	if diff := cmp.Diff(builtIn(), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff(Problems{}, problems); diff != "" {
		t.Errorf("problems -want +got\n%s", diff)
	}
}

// TestResolveDeletePrecedence has a row for every source, with all weaker ones
// present, for both keys.
func TestResolveDeletePrecedence(t *testing.T) {
	hour, day := after(time.Hour), after(24*time.Hour)
	namespace := annotations{api.DeleteAfterSuccessAnnotation: "3d", api.DeleteAfterFailureAnnotation: "3d"}
	flags := Defaults{DeleteAfterSuccess: &day, DeleteAfterFailure: &hour}
	annotated := func(value string) *jobtest.JobBuilder {
		return job().Annotation(api.DeleteAfterSuccessAnnotation, value).Annotation(api.DeleteAfterFailureAnnotation, value)
	}
	for name, tc := range map[string]struct {
		job              *jobtest.JobBuilder
		namespace        annotations
		flags            Defaults
		success, failure SourcedDelay
	}{
		"Job annotation": {
			annotated("10s").TTL(60), namespace, flags,
			SourcedDelay{after(10 * time.Second), SourceJob},
			SourcedDelay{after(10 * time.Second), SourceJob},
		},
		"Job annotation never": {
			annotated("never").TTL(60), namespace, flags,
			SourcedDelay{Delay{Never: true}, SourceJob},
			SourcedDelay{Delay{Never: true}, SourceJob},
		},
		"Job TTL": {
			job().TTL(60), namespace, flags,
			SourcedDelay{after(time.Minute), SourceJobTTL},
			SourcedDelay{after(time.Minute), SourceJobTTL},
		},
		"Job TTL 0": {
			job().TTL(0), namespace, flags,
			SourcedDelay{after(0), SourceJobTTL},
			SourcedDelay{after(0), SourceJobTTL},
		},
		"Job TTL before it was raised": {
			job().TTL(3600).Annotation(api.TTLAnnotation, "7"), namespace, flags,
			SourcedDelay{after(7 * time.Second), SourceJobTTL},
			SourcedDelay{after(7 * time.Second), SourceJobTTL},
		},
		"Job TTL behind an invalid annotation": {
			annotated("soon").TTL(60), namespace, flags,
			SourcedDelay{after(time.Minute), SourceJobTTL},
			SourcedDelay{after(time.Minute), SourceJobTTL},
		},
		"Namespace annotation": {
			job(), namespace, flags,
			SourcedDelay{after(72 * time.Hour), SourceNamespace},
			SourcedDelay{after(72 * time.Hour), SourceNamespace},
		},
		"Namespace annotation behind an invalid one": {
			annotated("soon"), namespace, flags,
			SourcedDelay{after(72 * time.Hour), SourceNamespace},
			SourcedDelay{after(72 * time.Hour), SourceNamespace},
		},
		"flag": {
			job(), nil, flags,
			SourcedDelay{day, SourceFlag},
			SourcedDelay{hour, SourceFlag},
		},
		"flag behind invalid ones": {
			annotated("soon"),
			annotations{api.DeleteAfterSuccessAnnotation: "", api.DeleteAfterFailureAnnotation: ""},
			flags,
			SourcedDelay{day, SourceFlag},
			SourcedDelay{hour, SourceFlag},
		},
		"default": {
			job(), nil,
			Defaults{},
			SourcedDelay{after(0), SourceDefault},
			SourcedDelay{Delay{Never: true}, SourceDefault},
		},
		"each key for itself": {
			job().Annotation(api.DeleteAfterFailureAnnotation, "1w"),
			annotations{api.DeleteAfterSuccessAnnotation: "never"},
			Defaults{},
			SourcedDelay{Delay{Never: true}, SourceNamespace},
			SourcedDelay{after(7 * 24 * time.Hour), SourceJob},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := Resolve(tc.job.Obj(), tc.namespace, tc.flags)
			want := builtIn()
			want.DeleteAfterSuccess, want.DeleteAfterFailure = tc.success, tc.failure
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestResolvePrecedence(t *testing.T) {
	day := after(24 * time.Hour)
	flags := Defaults{LogMode: api.LogModeStatus, ResultsTTL: &day, PropagatableLabels: []string{"team", "app.io/*"}}
	for name, tc := range map[string]struct {
		job       *jobtest.JobBuilder
		namespace annotations
		flags     Defaults
		change    func(*Policy)
	}{
		"log-mode of the Job": {
			job().Annotation(api.LogModeAnnotation, api.LogModeFull),
			annotations{api.LogModeAnnotation: api.LogModeStatus},
			Defaults{LogMode: api.LogModeStatus},
			func(p *Policy) { p.LogMode = api.LogModeFull },
		},
		"log-mode follow of the Job": {
			job().Annotation(api.LogModeAnnotation, api.LogModeFollow),
			annotations{api.LogModeAnnotation: api.LogModeFull},
			Defaults{},
			func(p *Policy) { p.LogMode = api.LogModeFollow },
		},
		"log-mode follow of the Namespace": {
			job(),
			annotations{api.LogModeAnnotation: api.LogModeFollow},
			Defaults{LogMode: api.LogModeFull},
			func(p *Policy) { p.LogMode = api.LogModeFollow },
		},
		"log-mode of the Namespace": {
			job(),
			annotations{api.LogModeAnnotation: api.LogModeStatus},
			Defaults{LogMode: api.LogModeFull},
			func(p *Policy) { p.LogMode = api.LogModeStatus },
		},
		"results-ttl of the Job": {
			job().Annotation(api.ResultsTTLAnnotation, "1w"),
			annotations{api.ResultsTTLAnnotation: "2w"},
			Defaults{ResultsTTL: &day},
			func(p *Policy) { p.ResultsTTL = after(7 * 24 * time.Hour) },
		},
		"results-ttl of the Namespace": {
			job().TTL(60),
			annotations{api.ResultsTTLAnnotation: "2w"},
			Defaults{ResultsTTL: &day},
			func(p *Policy) {
				p.ResultsTTL = after(14 * 24 * time.Hour)
				p.DeleteAfterSuccess = SourcedDelay{after(time.Minute), SourceJobTTL}
				p.DeleteAfterFailure = SourcedDelay{after(time.Minute), SourceJobTTL}
			},
		},
		"flags": {
			job(), nil, flags,
			func(p *Policy) { p.LogMode, p.ResultsTTL = api.LogModeStatus, day },
		},
		"flags behind invalid values": {
			job().Annotation(api.LogModeAnnotation, "x").Annotation(api.ResultsTTLAnnotation, "x"),
			annotations{api.LogModeAnnotation: "x", api.ResultsTTLAnnotation: "x"},
			flags,
			func(p *Policy) { p.LogMode, p.ResultsTTL = api.LogModeStatus, day },
		},
		"propagate-labels of the Job": {
			job().Annotation(api.PropagateLabelsAnnotation, "app.io/b, team,team , app.io/a"),
			annotations{api.PropagateLabelsAnnotation: "team"},
			flags,
			func(p *Policy) {
				p.LogMode, p.ResultsTTL = api.LogModeStatus, day
				p.PropagateLabels = []string{"app.io/b", "team", "app.io/a"}
			},
		},
		"propagate-labels of the Namespace": {
			job(),
			annotations{api.PropagateLabelsAnnotation: "team"},
			Defaults{PropagatableLabels: []string{"*"}},
			func(p *Policy) { p.PropagateLabels = []string{"team"} },
		},
		"an empty propagate-labels takes the Namespace's away": {
			job().Annotation(api.PropagateLabelsAnnotation, " "),
			annotations{api.PropagateLabelsAnnotation: "team"},
			Defaults{PropagatableLabels: []string{"team"}},
			func(*Policy) {},
		},
		"one label that is not allowed makes the whole list invalid": {
			job().Annotation(api.PropagateLabelsAnnotation, "team,other"),
			annotations{api.PropagateLabelsAnnotation: "team"},
			Defaults{PropagatableLabels: []string{"team"}},
			func(p *Policy) { p.PropagateLabels = []string{"team"} },
		},
		"results-kind": {
			job().Annotation(api.ResultsKindAnnotation, api.ResultsKindSecret),
			annotations{api.ResultsKindAnnotation: api.ResultsKindConfigMap},
			Defaults{},
			func(p *Policy) { p.ResultsKind = api.ResultsKindSecret },
		},
		"results-kind of the Namespace": {
			job().Annotation(api.ResultsKindAnnotation, "secret"),
			annotations{api.ResultsKindAnnotation: api.ResultsKindSecret},
			Defaults{},
			func(p *Policy) { p.ResultsKind = api.ResultsKindSecret },
		},
		"results-kind against the Namespace": {
			job().Annotation(api.ResultsKindAnnotation, api.ResultsKindConfigMap),
			annotations{api.ResultsKindAnnotation: api.ResultsKindSecret},
			Defaults{},
			func(*Policy) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := Resolve(tc.job.Obj(), tc.namespace, tc.flags)
			want := builtIn()
			tc.change(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestResolveResultsName(t *testing.T) {
	long := strings.Repeat("a", 245)
	for name, tc := range map[string]struct {
		job  *jobtest.JobBuilder
		want string
	}{
		"of the Job's name":        {job(), "job-results"},
		"the user's wish":          {job().Annotation(api.ResultsNameAnnotation, "nightly.v2-results"), "nightly.v2-results"},
		"an invalid wish":          {job().Annotation(api.ResultsNameAnnotation, "nightly"), "job-results"},
		"no name yet":              {job().GenerateName("job-"), ""},
		"no name yet but a wish":   {job().GenerateName("job-").Annotation(api.ResultsNameAnnotation, "a-results"), "a-results"},
		"no name yet, bad wish":    {job().GenerateName("job-").Annotation(api.ResultsNameAnnotation, "a"), ""},
		"a Job's name of 63":       {jobtest.MakeJob("ns", long[:63]), long[:63] + "-results"},
		"a name with dots":         {jobtest.MakeJob("ns", "etl.v1.2"), "etl.v1.2-results"},
		"a manualSelector's 244":   {jobtest.MakeJob("ns", long[:244]), long[:244] + "-results"},
		"a name that ends alike":   {jobtest.MakeJob("ns", "a-results"), "a-results-results"},
		"a wish of 253 characters": {job().Annotation(api.ResultsNameAnnotation, long+"-results"), long + "-results"},
		"a wish of 254 characters": {job().Annotation(api.ResultsNameAnnotation, long+"a-results"), "job-results"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := Resolve(tc.job.Obj(), nil, Defaults{}); got.ResultsName != tc.want {
				t.Errorf("ResultsName = %q, want %q", got.ResultsName, tc.want)
			}
		})
	}
	cut, _ := Resolve(jobtest.MakeJob("ns", long).Obj(), nil, Defaults{})
	if len(cut.ResultsName) > 253 || !strings.HasSuffix(cut.ResultsName, api.ResultsSuffix) {
		t.Errorf("the name of a Job of 245 characters gives %q", cut.ResultsName)
	}
}

func TestResolveChangesNothing(t *testing.T) {
	given := job().TTL(5).Annotation(api.LogModeAnnotation, "x").Annotation(api.TTLAnnotation, "x").Obj()
	before := given.DeepCopy()
	namespace := annotations{api.LogModeAnnotation: "x"}
	Resolve(given, namespace, Defaults{})
	if diff := cmp.Diff(before, given); diff != "" {
		t.Errorf("the Job changed: %s", diff)
	}
	if diff := cmp.Diff(annotations{api.LogModeAnnotation: "x"}, namespace); diff != "" {
		t.Errorf("the annotations changed: %s", diff)
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("job", "x-results", "full", "1d", "10s", "never", "team,app", "7", "")
	f.Add("", "-results", "follow", "never", "-1s", "1y", ",,", "-1", "Secret")
	f.Fuzz(func(t *testing.T, name, wish, mode, ttl, success, failure, labels, recorded, kind string) {
		own := annotations{
			api.ResultsNameAnnotation: wish, api.LogModeAnnotation: mode, api.ResultsTTLAnnotation: ttl,
			api.DeleteAfterSuccessAnnotation: success, api.PropagateLabelsAnnotation: labels,
			api.TTLAnnotation: recorded, api.ResultsKindAnnotation: kind,
		}
		job := &batchv1.Job{}
		job.Name, job.Annotations = name, own
		namespace := annotations{api.DeleteAfterFailureAnnotation: failure, api.LogModeAnnotation: kind, api.ResultsNameAnnotation: name}
		got, problems := Resolve(job, namespace, Defaults{PropagatableLabels: []string{"team", "a*"}})
		again, problemsAgain := Resolve(job, namespace, Defaults{PropagatableLabels: []string{"team", "a*"}})
		if diff := cmp.Diff(got, again) + cmp.Diff(problems, problemsAgain); diff != "" {
			t.Errorf("not deterministic: %s", diff)
		}
		checkBounds(t, got)
		for _, message := range append(messages(problems.Job), messages(problems.Namespace)...) {
			if len(message) > 1024 {
				t.Errorf("a message of %d bytes", len(message))
			}
		}
	})
}

func checkBounds(t *testing.T, p Policy) {
	t.Helper()
	if !slices.Contains(LogModes, p.LogMode) {
		t.Errorf("LogMode %q", p.LogMode)
	}
	if p.ResultsKind != api.ResultsKindConfigMap && p.ResultsKind != api.ResultsKindSecret {
		t.Errorf("ResultsKind %q", p.ResultsKind)
	}
	for _, delay := range []Delay{p.ResultsTTL, p.DeleteAfterSuccess.Delay, p.DeleteAfterFailure.Delay} {
		if delay.After < 0 || delay.After > LongestDelay || delay.After%time.Second != 0 {
			t.Errorf("delay %#v", delay)
		}
	}
	if len(p.PropagateLabels) > maxPropagatedLabels {
		t.Errorf("%d labels", len(p.PropagateLabels))
	}
	for _, key := range p.PropagateLabels {
		if rule := propagationRule(key, []string{"team", "a*"}); rule != "" {
			t.Errorf("label %q: %s", key, rule)
		}
	}
}
