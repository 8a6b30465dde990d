package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

func TestKeyWarnings(t *testing.T) {
	const all = "known are enabled, results-name, log-mode, results-kind, results-ttl, delete-after-success, delete-after-failure, propagate-labels, protect"
	unknown := func(kind, key, hint string) []string {
		return []string{kind + " " + api.Prefix + key + " is unknown: " + hint}
	}
	for name, tc := range map[string]struct {
		job  *jobtest.JobBuilder
		want []string
	}{
		"nothing":               {job(), nil},
		"keys of others":        {job().Annotation("log-mod", "x").Label("job-handlers/enabled", "x"), nil},
		"a letter missing":      {job().Annotation(api.Prefix+"log-mod", "x"), unknown("annotation", "log-mod", "did you mean "+api.LogModeAnnotation+"?")},
		"camel case":            {job().Annotation(api.Prefix+"deleteAfterSuccess", "x"), unknown("annotation", "deleteAfterSuccess", "did you mean "+api.DeleteAfterSuccessAnnotation+"?")},
		"another form":          {job().Annotation(api.Prefix+"delete-after-failed", "x"), unknown("annotation", "delete-after-failed", "did you mean "+api.DeleteAfterFailureAnnotation+"?")},
		"nothing near":          {job().Annotation(api.Prefix+"retention", "x"), unknown("annotation", "retention", all)},
		"a short one":           {job().Annotation(api.Prefix+"log", "x"), unknown("annotation", "log", all)},
		"another's word for it": {job().Annotation(api.Prefix+"protected", "true"), unknown("annotation", "protected", "did you mean "+api.ProtectAnnotation+"?")},
		"a label":               {job().Label(api.Prefix+"enable", "true"), unknown("label", "enable", "did you mean "+api.EnabledLabel+"?")},
		"an annotation's label": {job().Label(api.LogModeAnnotation, "full"), []string{"label " + api.LogModeAnnotation + " has no effect: set it as an annotation"}},
		"sorted, annotations first": {
			job().Label(api.Prefix+"enable", "true").Annotation(api.Prefix+"logmode", "x").Annotation(api.Prefix+"log-mod", "x"),
			append(append(unknown("annotation", "log-mod", "did you mean "+api.LogModeAnnotation+"?"),
				unknown("annotation", "logmode", "did you mean "+api.LogModeAnnotation+"?")...),
				unknown("label", "enable", "did you mean "+api.EnabledLabel+"?")...),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, KeyWarnings(tc.job.Obj())); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestKeyWarningsKnowsEveryKey(t *testing.T) {
	known := job().Label(api.EnabledLabel, api.True)
	for _, key := range append(userKeys(), managerKeys()...) {
		known.Annotation(key, "x")
	}
	if warnings := KeyWarnings(known.Obj()); warnings != nil {
		t.Errorf("%v", warnings)
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"kitten", "sitting", 3},
		{"logmod", "logmode", 1},
		{"flaw", "lawn", 2},
	} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

func TestValidatePropagatable(t *testing.T) {
	for pattern, valid := range map[string]bool{
		"team": true, "app.io/name": true, "app.io/*": true, "app.io/na*": true, "app*": true, "*": true,
		"": false, "a b": false, "*team": false, "a*b": false, "**": false, "/name": false, "/*": false,
	} {
		err := ValidatePropagatable(pattern)
		if (err == nil) != valid {
			t.Errorf("ValidatePropagatable(%q) = %v", pattern, err)
		}
		if err != nil && err.Error() != "must be a label key, or the start of one followed by *" {
			t.Errorf("ValidatePropagatable(%q) = %v", pattern, err)
		}
	}
}
