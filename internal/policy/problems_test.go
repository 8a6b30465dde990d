package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

const (
	delayRule    = "must be never or a duration like 1d12h (s m h d w, max 2147483647s)"
	nameRule     = "must be a DNS-1123 subdomain of at most 253 characters that ends in -results"
	listRule     = "must be a comma-separated list of label keys"
	reservedRule = "labels that Job Handler sets itself cannot be propagated"
)

func invalidMessage(key, value, rule string) string {
	return fmt.Sprintf("metadata.annotations[%s]: Invalid value: %q: %s", key, value, rule)
}

func unsupportedMessage(key, value, supported string) string {
	return fmt.Sprintf("metadata.annotations[%s]: Unsupported value: %q: supported values: %s", key, value, supported)
}

// TestProblems has a row for every way in which a value can be invalid, with
// the message that a user reads.
func TestProblems(t *testing.T) {
	long := strings.Repeat("a", 246)
	shownLong := long[:64] + "..."
	many := labelKeys(65)
	for name, tc := range map[string]struct {
		key, value string
		want       []string
	}{
		"log-mode":                     {api.LogModeAnnotation, "verbose", []string{unsupportedMessage(api.LogModeAnnotation, "verbose", `"status", "full", "follow"`)}},
		"log-mode capital follow":      {api.LogModeAnnotation, "Follow", []string{unsupportedMessage(api.LogModeAnnotation, "Follow", `"status", "full", "follow"`)}},
		"log-mode empty":               {api.LogModeAnnotation, "", []string{unsupportedMessage(api.LogModeAnnotation, "", `"status", "full", "follow"`)}},
		"log-mode capital":             {api.LogModeAnnotation, "Full", []string{unsupportedMessage(api.LogModeAnnotation, "Full", `"status", "full", "follow"`)}},
		"results-kind":                 {api.ResultsKindAnnotation, "Pod", []string{unsupportedMessage(api.ResultsKindAnnotation, "Pod", `"ConfigMap", "Secret"`)}},
		"results-ttl":                  {api.ResultsTTLAnnotation, "soon", []string{invalidMessage(api.ResultsTTLAnnotation, "soon", delayRule)}},
		"delete-after-success":         {api.DeleteAfterSuccessAnnotation, "-1s", []string{invalidMessage(api.DeleteAfterSuccessAnnotation, "-1s", delayRule)}},
		"delete-after-failure":         {api.DeleteAfterFailureAnnotation, "1y", []string{invalidMessage(api.DeleteAfterFailureAnnotation, "1y", delayRule)}},
		"protect":                      {api.ProtectAnnotation, "yes", []string{unsupportedMessage(api.ProtectAnnotation, "yes", `"true", "false"`)}},
		"protect capital":              {api.ProtectAnnotation, "True", []string{unsupportedMessage(api.ProtectAnnotation, "True", `"true", "false"`)}},
		"protect empty":                {api.ProtectAnnotation, "", []string{unsupportedMessage(api.ProtectAnnotation, "", `"true", "false"`)}},
		"ttl-seconds-after-finished":   {api.TTLAnnotation, "-1", []string{invalidMessage(api.TTLAnnotation, "-1", ttlRule)}},
		"ttl beyond int32":             {api.TTLAnnotation, "2147483648", []string{invalidMessage(api.TTLAnnotation, "2147483648", ttlRule)}},
		"results-name without suffix":  {api.ResultsNameAnnotation, "report", []string{invalidMessage(api.ResultsNameAnnotation, "report", nameRule)}},
		"results-name only suffix":     {api.ResultsNameAnnotation, "-results", []string{invalidMessage(api.ResultsNameAnnotation, "-results", nameRule)}},
		"results-name dot and suffix":  {api.ResultsNameAnnotation, "a.-results", []string{invalidMessage(api.ResultsNameAnnotation, "a.-results", nameRule)}},
		"results-name capital":         {api.ResultsNameAnnotation, "A-results", []string{invalidMessage(api.ResultsNameAnnotation, "A-results", nameRule)}},
		"results-name underscore":      {api.ResultsNameAnnotation, "a_b-results", []string{invalidMessage(api.ResultsNameAnnotation, "a_b-results", nameRule)}},
		"results-name too long":        {api.ResultsNameAnnotation, long + "-results", []string{invalidMessage(api.ResultsNameAnnotation, shownLong, nameRule)}},
		"results-name empty":           {api.ResultsNameAnnotation, "", []string{invalidMessage(api.ResultsNameAnnotation, "", nameRule)}},
		"propagate-labels not a key":   {api.PropagateLabelsAnnotation, "a b", []string{invalidMessage(api.PropagateLabelsAnnotation, "a b", listRule)}},
		"propagate-labels empty item":  {api.PropagateLabelsAnnotation, "team,", []string{invalidMessage(api.PropagateLabelsAnnotation, "", listRule)}},
		"propagate-labels job-name":    {api.PropagateLabelsAnnotation, "job-name", []string{invalidMessage(api.PropagateLabelsAnnotation, "job-name", reservedRule)}},
		"propagate-labels our own":     {api.PropagateLabelsAnnotation, api.EnabledLabel, []string{invalidMessage(api.PropagateLabelsAnnotation, api.EnabledLabel, reservedRule)}},
		"propagate-labels not allowed": {api.PropagateLabelsAnnotation, "teams", []string{invalidMessage(api.PropagateLabelsAnnotation, "teams", "may not be propagated here; allowed are team, batch.kubernetes.io/*")}},
		"propagate-labels all at once": {api.PropagateLabelsAnnotation, "job-name,team,x", []string{
			invalidMessage(api.PropagateLabelsAnnotation, "job-name", reservedRule),
			invalidMessage(api.PropagateLabelsAnnotation, "x", "may not be propagated here; allowed are team, batch.kubernetes.io/*"),
		}},
		"propagate-labels too many": {api.PropagateLabelsAnnotation, many, []string{invalidMessage(api.PropagateLabelsAnnotation, many[:64]+"...", "must list at most 64 label keys")}},
	} {
		t.Run(name, func(t *testing.T) {
			defaults := Defaults{PropagatableLabels: []string{"team", "batch.kubernetes.io/*"}}
			_, problems := Resolve(job().Annotation(tc.key, tc.value).Obj(), nil, defaults)
			if diff := cmp.Diff(tc.want, messages(problems.Job)); diff != "" {
				t.Errorf("of the Job -want +got\n%s", diff)
			}
			if tc.key == api.ResultsNameAnnotation || tc.key == api.TTLAnnotation {
				return
			}
			_, problems = Resolve(job().Obj(), annotations{tc.key: tc.value}, defaults)
			if diff := cmp.Diff(tc.want, messages(problems.Namespace)); diff != "" {
				t.Errorf("of the Namespace -want +got\n%s", diff)
			}
		})
	}
}

func TestProblemsAllowedLabels(t *testing.T) {
	for name, tc := range map[string]struct {
		allowed []string
		key     string
		want    []string
	}{
		"none allowed":                {nil, "team", []string{invalidMessage(api.PropagateLabelsAnnotation, "team", "no label may be propagated here (--propagatable-labels is empty)")}},
		"the very key":                {[]string{"team"}, "team", nil},
		"a longer key":                {[]string{"team"}, "team2", []string{invalidMessage(api.PropagateLabelsAnnotation, "team2", "may not be propagated here; allowed are team")}},
		"a prefix":                    {[]string{"app.io/*"}, "app.io/name", nil},
		"another prefix":              {[]string{"app.io/*"}, "app.iox/name", []string{invalidMessage(api.PropagateLabelsAnnotation, "app.iox/name", "may not be propagated here; allowed are app.io/*")}},
		"everything":                  {[]string{"*"}, "team", nil},
		"everything but job-name":     {[]string{"*", "job-name"}, "job-name", []string{invalidMessage(api.PropagateLabelsAnnotation, "job-name", reservedRule)}},
		"everything but our own":      {[]string{"*"}, api.StatusLabel, []string{invalidMessage(api.PropagateLabelsAnnotation, api.StatusLabel, reservedRule)}},
		"Kubernetes' own label is OK": {[]string{"*"}, "batch.kubernetes.io/job-name", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := Resolve(job().Annotation(api.PropagateLabelsAnnotation, tc.key).Obj(), nil, Defaults{PropagatableLabels: tc.allowed})
			if diff := cmp.Diff(tc.want, messages(problems.Job)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestProblemsTogether holds that everything is reported at once, in the order
// of the contract, the Job apart from its Namespace, also where the stronger
// value is valid.
func TestProblemsTogether(t *testing.T) {
	owner := job().Annotation(api.LogModeAnnotation, api.LogModeFull).
		Annotation(api.DeleteAfterFailureAnnotation, "x").Annotation(api.DeleteAfterSuccessAnnotation, "x").
		Annotation(api.ResultsNameAnnotation, "x").Annotation(api.ResultsTTLAnnotation, "x").
		Annotation(api.ResultsKindAnnotation, "x").Annotation(api.PropagateLabelsAnnotation, "x").
		Annotation(api.ProtectAnnotation, "x").Obj()
	_, problems := Resolve(owner, annotations{api.LogModeAnnotation: "x", api.ResultsNameAnnotation: "x-results"}, Defaults{})
	none := "no label may be propagated here (--propagatable-labels is empty)"
	if diff := cmp.Diff([]string{
		invalidMessage(api.ResultsNameAnnotation, "x", nameRule),
		unsupportedMessage(api.ResultsKindAnnotation, "x", `"ConfigMap", "Secret"`),
		invalidMessage(api.ResultsTTLAnnotation, "x", delayRule),
		invalidMessage(api.DeleteAfterSuccessAnnotation, "x", delayRule),
		invalidMessage(api.DeleteAfterFailureAnnotation, "x", delayRule),
		invalidMessage(api.PropagateLabelsAnnotation, "x", none),
		unsupportedMessage(api.ProtectAnnotation, "x", `"true", "false"`),
	}, messages(problems.Job)); diff != "" {
		t.Errorf("of the Job -want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"metadata.annotations[" + api.ResultsNameAnnotation + "]: Forbidden: can be set on a Job only",
		unsupportedMessage(api.LogModeAnnotation, "x", `"status", "full", "follow"`),
	}, messages(problems.Namespace)); diff != "" {
		t.Errorf("of the Namespace -want +got\n%s", diff)
	}
}

func TestValidateJobTemplate(t *testing.T) {
	template := &jobtest.MakeCronJob("ns", "cron").JobLabel(api.EnabledLabel, "yes").
		JobAnnotation(api.LogModeAnnotation, "x").JobAnnotation(api.ResultsTTLAnnotation, "1d").Obj().Spec.JobTemplate
	want := []string{
		"spec.jobTemplate.metadata.labels[" + api.EnabledLabel + `]: Unsupported value: "yes": supported values: "true", "false"`,
		"spec.jobTemplate." + unsupportedMessage(api.LogModeAnnotation, "x", `"status", "full", "follow"`),
	}
	if diff := cmp.Diff(want, messages(ValidateJobTemplate(template, Defaults{}))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if errs := ValidateJobTemplate(&jobtest.MakeCronJob("ns", "cron").Obj().Spec.JobTemplate, Defaults{}); errs != nil {
		t.Errorf("a plain template: %v", errs)
	}
}

func TestShownKeepsRunesWhole(t *testing.T) {
	value := strings.Repeat("é", 40) // two bytes each: after the x the limit falls within one
	if got := shown("x" + value); got != "x"+strings.Repeat("é", 31)+"..." {
		t.Errorf("shown = %q", got)
	}
}

func labelKeys(n int) string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("batch.kubernetes.io/k%d", i)
	}
	return strings.Join(keys, ",")
}
