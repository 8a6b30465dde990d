package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/job-handler/job-handler/internal/jobtest/pinned"
)

const (
	root      = "../../.."
	rulesFile = root + "/config/alerts/rules.yaml"
	testsFile = root + "/config/alerts/rules_test.yaml"
	ruleFile  = root + "/config/components/prometheus/alerts.yaml"
)

// groups is the content of a rules file.
type groups struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatal(err)
	}
}

func rules(t *testing.T) []rule {
	t.Helper()
	var all groups
	decode(t, read(t, rulesFile), &all)
	if len(all.Groups) != 1 || len(all.Groups[0].Rules) < 10 {
		t.Fatalf("want one group with many rules, got %d groups", len(all.Groups))
	}
	return all.Groups[0].Rules
}

func TestPrometheusRuleIsUpToDate(t *testing.T) {
	want, err := resourceOf(read(t, rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(read(t, ruleFile))); diff != "" {
		t.Errorf("%s is not what make generate writes (-generated +there):\n%s", ruleFile, diff)
	}
	var resource struct {
		APIVersion, Kind string
		Metadata         any
		Spec             groups
	}
	decode(t, want, &resource)
	if diff := cmp.Diff(rules(t), resource.Spec.Groups[0].Rules); diff != "" {
		t.Errorf("the resource has other rules (-rules +resource):\n%s", diff)
	}
}

func TestWhatIsNoRulesFile(t *testing.T) {
	for _, text := range []string{"", "groups: []\nspec: 1\n", "rules: []\n", "groups: [\n"} {
		if _, err := resourceOf([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestRulesFireWhenTheyShould(t *testing.T) {
	promtool, err := pinned.Program(t.Context(), root, pinned.Promtool())
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", rulesFile},
		{"test", "rules", testsFile},
	} {
		if output, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
}

// Every alert has a test in which it fires and one in which it does not.
func TestEveryRuleIsTested(t *testing.T) {
	var file struct {
		Tests []struct {
			Name  string
			Alert []struct {
				Alertname string
				Expected  []any `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(read(t, testsFile), &file); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, at := range test.Alert {
			if len(at.Expected) > 0 {
				fires[at.Alertname] = true
			} else if test.Name == at.Alertname+", not" {
				quiet[at.Alertname] = true
			}
		}
	}
	for _, r := range rules(t) {
		if !fires[r.Alert] || !quiet[r.Alert] {
			t.Errorf("%s: tested to fire: %v, not to: %v", r.Alert, fires[r.Alert], quiet[r.Alert])
		}
	}
}

// Every alert says how bad it is and what it is about, and has a runbook in the
// documentation, which has a section for no other.
func TestEveryRuleHasARunbook(t *testing.T) {
	const page = "https://github.com/job-handler/job-handler/blob/main/docs/operations.md#"
	headings := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^#+ (JobHandler\w+)$`).FindAllStringSubmatch(string(read(t, filepath.Join(root, "docs", "operations.md"))), -1) {
		headings[found[1]] = true
	}
	for _, r := range rules(t) {
		if severity := r.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s: severity %q", r.Alert, severity)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s says nothing", r.Alert)
		}
		if want := page + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook %s, want %s", r.Alert, r.Annotations["runbook_url"], want)
		}
		if !headings[r.Alert] {
			t.Errorf("docs/operations.md has no section %s", r.Alert)
		}
		delete(headings, r.Alert)
	}
	if len(headings) > 0 {
		t.Error(fmt.Errorf("docs/operations.md has sections of alerts that there are not: %v", headings))
	}
}
