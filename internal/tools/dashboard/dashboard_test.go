package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/metrics"
)

func TestDashboardIsUpToDate(t *testing.T) {
	want, err := render()
	if err != nil {
		t.Fatal(err)
	}
	const file = "../../../config/components/prometheus/dashboard.json"
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what make generate writes (-generated +there):\n%s", file, diff)
	}
	if !json.Valid(got) {
		t.Error("it is no JSON")
	}
}

// Every panel has a place of its own on the grid, and something to show; those with
// several lines tell them apart.
func TestPanels(t *testing.T) {
	taken, ids, titles := map[[2]int]string{}, map[int]bool{}, map[string]bool{}
	for _, p := range arranged(rows()).Panels {
		if ids[p.ID] {
			t.Errorf("%s: ID %d twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		if titles[p.Title] {
			t.Errorf("two are called %q", p.Title)
		}
		titles[p.Title] = true
		if p.Type != "row" && p.Description == "" {
			t.Errorf("%s: nothing says how to read it", p.Title)
		}
		if p.Title == "" || p.GridPos.X+p.GridPos.W > gridWidth {
			t.Errorf("%q at %+v", p.Title, p.GridPos)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s covers %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("%s, a %s, has %d queries", p.Title, p.Type, len(p.Targets))
		}
		legends, template := map[string]bool{}, false
		for _, target := range p.Targets {
			if legends[target.LegendFormat] {
				t.Errorf("%s: two lines are called %q", p.Title, target.LegendFormat)
			}
			legends[target.LegendFormat] = true
			template = template || strings.Contains(target.LegendFormat, "{{")
			if p.Type == "timeseries" && strings.TrimSpace(target.LegendFormat) == "" {
				t.Errorf("%s: a line without a name", p.Title)
			}
		}
		if p.FieldConfig == nil {
			continue
		}
		for _, o := range p.FieldConfig.Overrides {
			if name := o.Matcher.Options; !legends[name] && (!template || !labelled(name)) {
				t.Errorf("%s: no line is called %q", p.Title, name)
			}
		}
	}
}

// labelled reports whether name is made of values of labels.
func labelled(name string) bool {
	values := map[string]bool{}
	for _, group := range metrics.Groups() {
		for _, definition := range group.Definitions {
			for _, label := range definition.Labels {
				for _, value := range label.Values {
					values[value.Value] = true
				}
			}
		}
	}
	return !slices.ContainsFunc(strings.Fields(name), func(word string) bool { return !values[word] })
}

// Where a line has a color of its own, no other one of the chart has the same.
func TestColors(t *testing.T) {
	for _, r := range rows() {
		for _, c := range r.charts {
			of := map[string]string{}
			for legend, color := range c.colors {
				if other := of[color]; other != "" {
					t.Errorf("%s: %s and %s are both %s", c.title, other, legend, color)
				}
				of[color] = legend
			}
		}
	}
}

// A single value without an answer is neither good nor bad, and what has a limit is
// bad beyond it.
func TestThresholds(t *testing.T) {
	for name, c := range map[string]struct {
		chart chart
		want  string
	}{
		"at least":   {chart{goodFrom: new(1.0)}, "text, red from 0, green from 1"},
		"between":    {chart{goodFrom: new(1.0), tooMuch: new(2.0)}, "text, red from 0, green from 1, red from 2"},
		"below":      {chart{badFrom: new(100.0)}, "text, green from 0, red from 100"},
		"below zero": {chart{goodFrom: new(7.0), least: -9}, "text, red from -9, green from 7"},
	} {
		var got []string
		for _, s := range c.chart.thresholds().Steps {
			if s.Value == nil {
				got = append(got, s.Color)
			} else {
				got = append(got, fmt.Sprintf("%s from %g", s.Color, *s.Value))
			}
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

// The lines that are drawn are where alerts fire.
func TestLimitsAreThoseOfAlerts(t *testing.T) {
	rules, err := os.ReadFile("../../../config/alerts/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range []string{
		fmt.Sprintf("%s > %g\n", backlog, backlogLimit),
		fmt.Sprintf("%s > %g\n", oldest, oldestLimit),
		fmt.Sprintf("time() - max(job_handler_retention_last_pass_timestamp_seconds) > %g * 3600\n", lastLookLimit/3600),
		fmt.Sprintf("min(job_handler_webhook_certificate_expiry_timestamp_seconds) - time() < %g * 86400\n", daysLimit),
	} {
		if !strings.Contains(string(rules), alert) {
			t.Errorf("no alert at %s", alert)
		}
	}
}
