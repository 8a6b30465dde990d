// Package prometheus_test holds the Grafana dashboard to the metrics, units and
// alerts that it is about. That Prometheus can answer its queries is tested in
// cmd/manager, with those of the alerts.
package prometheus_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/metrics"
)

const (
	file      = "dashboard.json"
	rulesFile = "../../alerts/rules.yaml"

	// Grafana's grid is 24 columns wide.
	gridWidth = 24

	row, stat, graph = "row", "stat", "timeseries"
)

// The parts of Grafana's dashboard model that are used here, of schema version 39
// (Grafana 11); later versions read it as well.
type (
	dashboard struct {
		UID, Title, Description, Refresh, Timezone string
		Tags                                       []string
		SchemaVersion, Version, GraphTooltip       int
		Editable                                   bool
		Time, Templating, Links                    any
		Panels                                     []panel
	}
	panel struct {
		ID                       int
		Title, Type, Description string
		GridPos                  struct{ X, Y, W, H int }
		Datasource               any
		Targets                  []target
		FieldConfig              *fieldConfig
		Options                  map[string]any
		Panels                   []any
		Collapsed                bool
	}
	target struct {
		RefID, Expr, LegendFormat, Interval string
		Datasource                          any
		Instant                             bool
	}
	fieldConfig struct {
		Defaults struct {
			Unit, NoValue string
			Min, Max      *float64
			Decimals      *int
			Color         map[string]string
			Thresholds    *thresholds
			Custom        map[string]any
			Mappings      []any
		}
		Overrides []struct {
			Matcher    struct{ ID, Options string }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
	thresholds struct {
		Mode  string
		Steps []struct {
			Color string
			Value *float64
		}
	}
)

// panels returns those of the dashboard. A key that is not known fails: it is
// misspelt, or new, and then belongs into the model.
func panels(t *testing.T) []panel {
	t.Helper()
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	decoder := json.NewDecoder(opened)
	decoder.DisallowUnknownFields()
	var d dashboard
	if err := decoder.Decode(&d); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(d.Panels) < 40 {
		t.Errorf("%s has %d panels only", file, len(d.Panels))
	}
	return d.Panels
}

// charts returns the panels that show something.
func charts(t *testing.T) []panel {
	t.Helper()
	return slices.DeleteFunc(panels(t), func(p panel) bool { return p.Type == row })
}

// Every panel has a place of its own on the grid, and something to show.
func TestPanels(t *testing.T) {
	taken, ids, titles := map[[2]int]string{}, map[int]bool{}, map[string]bool{}
	for _, p := range panels(t) {
		if ids[p.ID] {
			t.Errorf("%s: %s: ID %d twice", file, p.Title, p.ID)
		}
		if p.Title == "" || titles[p.Title] {
			t.Errorf("%s: two panels are called %q, or have no title", file, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		if !slices.Contains([]string{row, stat, graph}, p.Type) {
			t.Errorf("%s: %s is a %s", file, p.Title, p.Type)
		}
		if (p.Type == row) != (len(p.Targets) == 0) || (p.Type == row) != (p.FieldConfig == nil) {
			t.Errorf("%s: %s, a %s, has %d queries", file, p.Title, p.Type, len(p.Targets))
		}
		if p.Type != row && p.Description == "" {
			t.Errorf("%s: %s: no description says how to read it", file, p.Title)
		}
		at := p.GridPos
		if at.X+at.W > gridWidth || at.W < 1 || at.H < 1 {
			t.Errorf("%s: %s is at %+v", file, p.Title, at)
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s: %s covers %s", file, p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// Queries ask the Prometheus that is chosen, each under a letter of its own. Those
// with rates have a least step: Grafana makes $__rate_interval four of them, and a
// Prometheus scrapes each minute unless it is told otherwise.
func TestQueries(t *testing.T) {
	chosen := map[string]any{"type": "prometheus", "uid": "${datasource}"}
	known := map[string]bool{}
	for _, group := range metrics.Groups() {
		for _, d := range group.Definitions {
			known[d.Name] = true
			known[d.Name+"_bucket"] = len(d.Buckets) > 0
		}
	}
	for _, p := range charts(t) {
		if diff := cmp.Diff(any(chosen), p.Datasource); diff != "" {
			t.Errorf("%s: %s: datasource (-want +got):\n%s", file, p.Title, diff)
		}
		for i, q := range p.Targets {
			if want := string(rune('A' + i)); q.RefID != want {
				t.Errorf("%s: %s: refId %s, want %s", file, p.Title, q.RefID, want)
			}
			if diff := cmp.Diff(any(chosen), q.Datasource); diff != "" {
				t.Errorf("%s: %s %s: datasource (-want +got):\n%s", file, p.Title, q.RefID, diff)
			}
			if q.Instant != (p.Type == stat) {
				t.Errorf("%s: %s %s: instant is for a stat, and only for that", file, p.Title, q.RefID)
			}
			if rates := strings.Contains(q.Expr, "$__rate_interval"); rates != (q.Interval == "1m") {
				t.Errorf("%s: %s %s: interval %q; it is 1m with $__rate_interval, and else none", file, p.Title, q.RefID, q.Interval)
			}
			for _, name := range regexp.MustCompile(`\bjob_handler_\w+`).FindAllString(q.Expr, -1) {
				if !known[name] {
					t.Errorf("%s: %s %s: there is no metric %s", file, p.Title, q.RefID, name)
				}
			}
		}
	}
}

// unitOf returns the unit of what a query answers, empty for a plain number.
func unitOf(expr string) string {
	rate := strings.Contains(expr, "rate(") && !strings.Contains(expr, "histogram_quantile(")
	switch {
	// Grafana's own units of minutes and days make hours and weeks of them.
	case strings.HasPrefix(expr, "60 * "):
		return "suffix:/min"
	case strings.HasSuffix(expr, " / 86400"):
		return "suffix:days"
	case rate && strings.Contains(expr, "_bytes_total["):
		return "binBps"
	case rate && strings.Contains(expr, "_requests_total["):
		return "reqps"
	case rate:
		return ""
	case strings.Contains(expr, "_seconds"):
		return "s"
	case strings.Contains(expr, "_bytes"):
		return "bytes"
	default:
		return ""
	}
}

func TestUnits(t *testing.T) {
	for _, p := range charts(t) {
		for _, q := range p.Targets {
			got, want := p.FieldConfig.Defaults.Unit, unitOf(q.Expr)
			// A number with thousands apart is a plain one too.
			if got != want && (got != "locale" || want != "") {
				t.Errorf("%s: %s: unit %q, but %s is in %q", file, p.Title, got, q.Expr, want)
			}
		}
	}
}

// The lines of a panel are told apart, and what is said of a line is of one that
// there is. Where a line has a color of its own, no other one has the same.
func TestLines(t *testing.T) {
	for _, p := range charts(t) {
		legends, template := map[string]bool{}, false
		for _, q := range p.Targets {
			if legends[q.LegendFormat] {
				t.Errorf("%s: %s: two lines are called %q", file, p.Title, q.LegendFormat)
			}
			legends[q.LegendFormat] = true
			template = template || strings.Contains(q.LegendFormat, "{{")
			if p.Type == graph && strings.TrimSpace(q.LegendFormat) == "" {
				t.Errorf("%s: %s %s: a line without a name", file, p.Title, q.RefID)
			}
		}
		colored := map[string]string{}
		for _, o := range p.FieldConfig.Overrides {
			name := o.Matcher.Options
			if o.Matcher.ID != "byName" || !legends[name] && (!template || !labelled(name)) {
				t.Errorf("%s: %s: no line is called %q", file, p.Title, name)
			}
			for _, property := range o.Properties {
				if property.ID != "color" {
					continue
				}
				color := fmt.Sprint(property.Value)
				if other := colored[color]; other != "" {
					t.Errorf("%s: %s: %s and %s have one color, %s", file, p.Title, other, name, color)
				}
				colored[color] = name
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

// A single value without an answer is neither good nor bad. A line over time starts
// at 0, unless its axis is logarithmic, and is marked where it is bad.
func TestLooks(t *testing.T) {
	for _, p := range charts(t) {
		defaults := p.FieldConfig.Defaults
		if p.Type == stat {
			if defaults.NoValue != "unknown" {
				t.Errorf("%s: %s: noValue %q, want unknown", file, p.Title, defaults.NoValue)
			}
			byValue := defaults.Color["mode"] == "thresholds"
			if byValue != (defaults.Thresholds != nil) || !byValue && defaults.Color["fixedColor"] != "text" {
				t.Errorf("%s: %s: color %v; it is by thresholds, or text without any", file, p.Title, defaults.Color)
			}
			if byValue && (defaults.Thresholds.Steps[0].Color != "text" || defaults.Thresholds.Steps[0].Value != nil) {
				t.Errorf("%s: %s: the first step is not text, from no value on", file, p.Title)
			}
			continue
		}
		if _, scaled := defaults.Custom["scaleDistribution"]; scaled == (defaults.Min != nil) || !scaled && *defaults.Min != 0 {
			t.Errorf("%s: %s: min is 0, and is left out where the axis is logarithmic", file, p.Title)
		}
		if _, marked := defaults.Custom["thresholdsStyle"]; marked != (defaults.Thresholds != nil) {
			t.Errorf("%s: %s: thresholdsStyle is for thresholds, and there for all", file, p.Title)
		}
	}
}

// alerts are the rules from which a panel's limit is taken, by its query. A panel
// has it in the unit of the rule, times scale.
var alerts = map[string]struct {
	rule  string
	scale float64
}{
	"sum(job_handler_backlog_jobs)":           {"sum(job_handler_backlog_jobs) > %g\n", 1},
	"max(job_handler_backlog_oldest_seconds)": {"max(job_handler_backlog_oldest_seconds) > %g\n", 1},
	"time() - max(job_handler_retention_last_pass_timestamp_seconds)": {
		"time() - max(job_handler_retention_last_pass_timestamp_seconds) > %g * 3600\n", 3600,
	},
	"(min(job_handler_webhook_certificate_expiry_timestamp_seconds) - time()) / 86400": {
		"min(job_handler_webhook_certificate_expiry_timestamp_seconds) - time() < %g * 86400\n", 1,
	},
}

// without are panels whose limits need no alert's number: there is one or there is
// none.
var without = []string{"Managers", "Leaders", "Stamping works", "Results lost"}

// A value is bad where an alert fires.
func TestLimitsAreThoseOfAlerts(t *testing.T) {
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	limited := map[string]bool{}
	for _, p := range charts(t) {
		limits := p.FieldConfig.Defaults.Thresholds
		if limits == nil || slices.Contains(without, p.Title) {
			continue
		}
		alert, known := alerts[p.Targets[0].Expr]
		if !known {
			t.Errorf("%s: %s has thresholds, but no alert is named for it here", file, p.Title)
			continue
		}
		limited[p.Targets[0].Expr] = true
		last := limits.Steps[len(limits.Steps)-1].Value
		if last == nil {
			t.Errorf("%s: %s: the last step has no value", file, p.Title)
			continue
		}
		if want := fmt.Sprintf(alert.rule, *last/alert.scale); !strings.Contains(string(rules), want) {
			t.Errorf("%s: %s: its limit is %g, and %s has no %q", file, p.Title, *last, rulesFile, want)
		}
	}
	if len(limited) != len(alerts) {
		t.Errorf("%s: of %d limits only %d are shown", file, len(alerts), len(limited))
	}
}
