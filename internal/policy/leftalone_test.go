package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// ownMarks are marks of an operator.
var ownMarks = LeftAlone{
	Labels:      []Mark{{Key: "example.com/kept"}, {Key: "owner", Value: new("deployer")}},
	Annotations: []Mark{{Key: "example.com/source"}, {Key: "mode", Value: new("")}},
}

func TestParseMark(t *testing.T) {
	const rule = "must be key or key=value, where key is a label or annotation key that does not start with job-handler/"
	type want struct{ label, annotation, err string }
	for text, want := range map[string]want{
		"example.com/kept":                 {},
		"owner=deployer":                   {},
		"owner=":                           {},
		"owner=a=b":                        {label: "must have a valid label value after the ="},
		"owner=a b":                        {label: "must have a valid label value after the ="},
		"owner=" + strings.Repeat("x", 64): {label: "must have a valid label value after the ="},
		"owner=" + strings.Repeat("x", maxKeptValue+1): {
			label: "must have a valid label value after the =", annotation: "must have a value of at most 512 bytes",
		},
		"":                    {err: rule},
		"=x":                  {err: rule},
		"a b":                 {err: rule},
		"team/*":              {err: rule},
		"job-handler/enabled": {err: rule},
		"job-handler/x=y":     {err: rule},
	} {
		t.Run(text, func(t *testing.T) {
			for _, form := range []struct {
				parse func(string) (Mark, error)
				err   string
			}{{ParseLabelMark, want.err + want.label}, {ParseAnnotationMark, want.err + want.annotation}} {
				mark, err := form.parse(text)
				if form.err == "" && (err != nil || mark.String() != text) || form.err != "" && (err == nil || err.Error() != form.err) {
					t.Errorf("%v, %v, not %q", mark, err, form.err)
				}
			}
		})
	}
}

// TestLeftAlone has Jobs with marks of the operator's own count as those that a tool
// keeps, also as a cache has them.
func TestLeftAlone(t *testing.T) {
	short := func() *batchv1.Job {
		return job().Label(api.EnabledLabel, api.True).TTL(1).Obj()
	}
	for title, tc := range map[string]struct {
		mark func(*batchv1.Job)
		tool string
	}{
		"no mark":              {mark: func(*batchv1.Job) {}},
		"a label":              {func(j *batchv1.Job) { j.Labels["example.com/kept"] = "x" }, "label example.com/kept"},
		"a label with value":   {func(j *batchv1.Job) { j.Labels["owner"] = "deployer" }, "label owner=deployer"},
		"of another value":     {mark: func(j *batchv1.Job) { j.Labels["owner"] = "people" }},
		"an annotation":        {func(j *batchv1.Job) { j.Annotations = annotations{"example.com/source": ""} }, "annotation example.com/source"},
		"of an empty value":    {func(j *batchv1.Job) { j.Annotations = annotations{"mode": ""} }, "annotation mode="},
		"of no empty value":    {mark: func(j *batchv1.Job) { j.Annotations = annotations{"mode": "x"} }},
		"annotated by a label": {mark: func(j *batchv1.Job) { j.Annotations = annotations{"owner": "deployer"} }},
	} {
		t.Run(title, func(t *testing.T) {
			marked := short()
			tc.mark(marked)
			Keep(marked, Defaults{LeftAlone: ownMarks})
			tool, tracked := Tracked(marked, ownMarks)
			if tool != tc.tool || tracked != (tc.tool != "") {
				t.Errorf("tracked by %q", tool)
			}
			if raised := RaisedTTL(marked, floor, ownMarks); (raised == nil) != tracked {
				t.Errorf("the TTL is raised to %v", raised)
			}
			changed := marked.DeepCopy()
			changed.Spec.TTLSecondsAfterFinished = new(int32(2))
			if StampUpdate(marked, changed, floor, ownMarks) == tracked {
				t.Error("a change of its TTL")
			}
			Stamp(marked, floor, true, ownMarks)
			if got := *marked.Spec.TTLSecondsAfterFinished; (got == 1) != tracked {
				t.Errorf("stamped with a TTL of %d", got)
			}
			if _, tracked := Tracked(marked, LeftAlone{}); tracked {
				t.Error("tracked without the flags")
			}
		})
	}
}

// TestLeftAloneResolved has the operator's marks be part of what is wanted for a Job.
func TestLeftAloneResolved(t *testing.T) {
	wanted, _ := Resolve(job().Obj(), nil, Defaults{LeftAlone: ownMarks})
	if diff := cmp.Diff(ownMarks, wanted.LeftAlone); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
