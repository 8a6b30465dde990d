package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

const absent = "(absent)"

func TestOptIn(t *testing.T) {
	const (
		badLabel      = "metadata.labels[" + api.EnabledLabel + `]: Unsupported value: "yes": supported values: "true", "false"`
		badAnnotation = "metadata.annotations[" + api.EnabledAnnotation + `]: Unsupported value: "yes": supported values: "true", "false"`
	)
	for name, tc := range map[string]struct {
		label, annotation string
		want              OptIn
		problems          []string
	}{
		"nothing":                          {absent, absent, Unset, nil},
		"label true":                       {api.True, absent, In, nil},
		"label false":                      {api.False, absent, Out, nil},
		"annotation true":                  {absent, api.True, In, nil},
		"annotation false":                 {absent, api.False, Out, nil},
		"label true beats annotation":      {api.True, api.False, In, nil},
		"label false beats annotation":     {api.False, api.True, Out, nil},
		"invalid label":                    {"yes", absent, Unset, []string{badLabel}},
		"invalid annotation":               {absent, "yes", Unset, []string{badAnnotation}},
		"annotation behind invalid label":  {"yes", api.False, Out, []string{badLabel}},
		"label before invalid annotation":  {api.True, "yes", In, []string{badAnnotation}},
		"both invalid":                     {"yes", "yes", Unset, []string{badLabel, badAnnotation}},
		"an empty label is not an absence": {"", absent, Unset, []string{"metadata.labels[" + api.EnabledLabel + `]: Unsupported value: "": supported values: "true", "false"`}},
		"capitals are not booleans":        {"True", absent, Unset, []string{"metadata.labels[" + api.EnabledLabel + `]: Unsupported value: "True": supported values: "true", "false"`}},
	} {
		t.Run(name, func(t *testing.T) {
			job, namespace := jobtest.MakeJob("ns", "job"), jobtest.MakeNamespace("ns")
			if tc.label != absent {
				job.Label(api.EnabledLabel, tc.label)
				namespace.Label(api.EnabledLabel, tc.label)
			}
			if tc.annotation != absent {
				job.Annotation(api.EnabledAnnotation, tc.annotation)
				namespace.Annotation(api.EnabledAnnotation, tc.annotation)
			}
			ofJob, jobErrs := JobOptIn(job.Obj())
			ofNamespace, namespaceErrs := NamespaceOptIn(namespace.Obj())
			if ofJob != tc.want || ofNamespace != tc.want {
				t.Errorf("JobOptIn = %v, NamespaceOptIn = %v, want %v", ofJob, ofNamespace, tc.want)
			}
			for _, errs := range []field.ErrorList{jobErrs, namespaceErrs} {
				if diff := cmp.Diff(tc.problems, messages(errs)); diff != "" {
					t.Errorf("problems -want +got\n%s", diff)
				}
			}
		})
	}
}

func TestHandled(t *testing.T) {
	for name, tc := range map[string]struct {
		job, namespace OptIn
		want           bool
	}{
		"nobody says anything":           {Unset, Unset, false},
		"the Namespace opts in":          {Unset, In, true},
		"the Namespace opts out":         {Unset, Out, false},
		"the Job opts in":                {In, Unset, true},
		"the Job beats an opted-out one": {In, Out, true},
		"both opt in":                    {In, In, true},
		"the Job opts out":               {Out, Unset, false},
		"the Job beats an opted-in one":  {Out, In, false},
		"both opt out":                   {Out, Out, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Handled(tc.job, tc.namespace); got != tc.want {
				t.Errorf("Handled(%v, %v) = %v", tc.job, tc.namespace, got)
			}
		})
	}
}

// messages returns what a user reads of each error.
func messages(errs field.ErrorList) []string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Error())
	}
	return all
}
