package main

import (
	"maps"
	"slices"
	"strings"
)

const (
	// Grafana's grid is 24 columns wide.
	gridWidth   = 24
	statHeight  = 4
	graphHeight = 8
)

// prometheus is the variable in which whoever looks chooses a Prometheus.
var prometheus = &datasource{Type: "prometheus", UID: "${datasource}"}

// arranged returns the dashboard with rows, each with its panels side by side.
func arranged(rows []row) dashboard {
	d := dashboard{
		UID: "job-handler", Title: "Job Handler", Tags: []string{"job-handler", "kubernetes"},
		Description:   "What becomes of Jobs, and how Job Handler is.",
		SchemaVersion: 39, Version: 1, Editable: true, GraphTooltip: 1,
		Refresh: "30s", Time: timeRange{From: "now-6h", To: "now"}, Timezone: "browser",
		Templating: templating{List: []variable{{Name: "datasource", Label: "Prometheus", Type: "datasource", Query: "prometheus"}}},
		Links: []link{{
			Title: "Runbooks", Type: "link", Icon: "doc", TargetBlank: true, Tags: []string{},
			URL: "https://github.com/job-handler/job-handler/blob/main/docs/operations.md",
		}},
	}
	y := 0
	for _, r := range rows {
		open := false
		d.add(panel{
			Title: r.title, Type: "row", GridPos: gridPos{Y: y, W: gridWidth, H: 1}, Panels: &[]panel{}, Collapsed: &open,
		})
		y = d.place(r, y+1)
	}
	return d
}

func (d *dashboard) add(p panel) {
	p.ID = len(d.Panels) + 1
	d.Panels = append(d.Panels, p)
}

// place puts the panels of a row from y on, and returns where the next one begins.
func (d *dashboard) place(r row, y int) int {
	x, height := 0, graphHeight
	if r.stats {
		height = statHeight
	}
	width := gridWidth / min(len(r.charts), r.across)
	for _, c := range r.charts {
		if x+width > gridWidth {
			x, y = 0, y+height
		}
		p := c.panel(r.stats)
		p.GridPos = gridPos{X: x, Y: y, W: width, H: height}
		d.add(p)
		x += width
	}
	return y + height
}

// panel returns a chart as a single value, or over time.
func (c chart) panel(stat bool) panel {
	p := panel{Title: c.title, Description: c.note, Datasource: prometheus}
	for i, q := range c.queries {
		p.Targets = append(p.Targets, target{
			RefID: string(rune('A' + i)), Datasource: prometheus, Expr: q.expr, LegendFormat: q.legend,
			Instant: stat, Interval: leastStep(q.expr),
		})
	}
	if stat {
		p.Type, p.Options, p.FieldConfig = "stat", statOptions, c.statConfig()
	} else {
		p.Type, p.Options, p.FieldConfig = "timeseries", c.graphOptions(), c.graphConfig()
	}
	defaults := &p.FieldConfig.Defaults
	defaults.Unit = c.unit
	if c.whole {
		defaults.Decimals = new(0)
	}
	return p
}

// leastStep is the least step of a query with rates, "" of others: Grafana makes
// $__rate_interval four of them, and a Prometheus scrapes each minute unless it is
// told otherwise.
func leastStep(expr string) string {
	if strings.Contains(expr, "$__rate_interval") {
		return "1m"
	}
	return ""
}

var statOptions = map[string]any{
	"colorMode": "value", "graphMode": "none", "textMode": "auto",
	"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
}

func (c chart) statConfig() *fieldConfig {
	defaults := fieldDefaults{
		NoValue: "unknown", Color: map[string]any{"mode": "thresholds"}, Thresholds: c.thresholds(),
	}
	if c.neither {
		defaults.Color, defaults.Thresholds = fixed("text"), nil
	}
	if c.yes {
		defaults.Mappings = []any{map[string]any{"type": "value", "options": map[string]any{
			"0": map[string]any{"text": "no", "index": 0}, "1": map[string]any{"text": "yes", "index": 1},
		}}}
	}
	return &fieldConfig{Defaults: defaults, Overrides: []override{}}
}

// thresholds returns green and red, and neither of them where there is no value.
func (c chart) thresholds() *thresholds {
	steps := []step{{Color: "text"}}
	if c.goodFrom != nil {
		steps = append(steps, step{Color: bad, Value: &c.least}, step{Color: good, Value: c.goodFrom})
	} else {
		steps = append(steps, step{Color: good, Value: &c.least})
	}
	for _, from := range []*float64{c.badFrom, c.tooMuch} {
		if from != nil {
			steps = append(steps, step{Color: bad, Value: from})
		}
	}
	return &thresholds{Mode: "absolute", Steps: steps}
}

// columns are Grafana's names of what a table may have of each line.
var columns = map[string]string{"lastNotNull": "Last *", "max": "Max"}

func (c chart) graphOptions() map[string]any {
	legend := map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true}
	if c.table != "" {
		legend = map[string]any{
			"displayMode": "table", "placement": "right", "showLegend": true, "calcs": []string{c.table},
			"sortBy": columns[c.table], "sortDesc": true,
		}
	}
	return map[string]any{"legend": legend, "tooltip": map[string]any{"mode": "multi", "sort": "desc"}}
}

func (c chart) graphConfig() *fieldConfig {
	custom := map[string]any{"fillOpacity": 10, "lineWidth": 1, "showPoints": "auto", "spanNulls": false}
	defaults := fieldDefaults{Min: new(0.0), Custom: custom}
	if len(c.queries) > 1 || strings.Contains(c.queries[0].legend, "{{") {
		// Several fills are mud.
		custom["fillOpacity"] = 0
	}
	if c.logarithm != 0 {
		defaults.Min = nil
		custom["scaleDistribution"] = map[string]any{"type": "log", "log": c.logarithm}
		// Of what happens now and then, a line is a dot.
		custom["showPoints"], custom["pointSize"] = "always", 4
	}
	if c.yes {
		defaults.Max, defaults.Decimals = new(1.0), new(0)
		custom["lineInterpolation"] = "stepAfter"
	}
	if steps := c.marks(); steps != nil {
		defaults.Thresholds = &thresholds{Mode: "absolute", Steps: steps}
		custom["thresholdsStyle"] = map[string]any{"mode": "dashed"}
	}
	return &fieldConfig{Defaults: defaults, Overrides: c.overrides()}
}

// marks returns where a line says that a value is bad.
func (c chart) marks() []step {
	const nothing = "transparent"
	switch {
	case c.badFrom != nil:
		return []step{{Color: nothing}, {Color: bad, Value: c.badFrom}}
	case c.goodFrom != nil:
		return []step{{Color: bad}, {Color: nothing, Value: c.goodFrom}}
	}
	return nil
}

// overrides return how lines look that mean something.
func (c chart) overrides() []override {
	all := []override{}
	for _, legend := range slices.Sorted(maps.Keys(c.colors)) {
		all = append(all, of(legend, property{"color", fixed(c.colors[legend])}))
	}
	if c.limit != "" {
		all = append(all, of(c.limit, property{"color", fixed(bad)},
			property{"custom.lineStyle", map[string]any{"fill": "dash", "dash": []int{10, 10}}}))
	}
	return all
}

func of(legend string, properties ...property) override {
	return override{Matcher: matcher{ID: "byName", Options: legend}, Properties: properties}
}

func fixed(color string) map[string]any {
	return map[string]any{"mode": "fixed", "fixedColor": color}
}
