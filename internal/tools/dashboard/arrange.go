package main

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
	p := panel{
		Title: c.title, Description: c.note, Datasource: prometheus,
		FieldConfig: &fieldConfig{Defaults: fieldDefaults{Unit: c.unit}, Overrides: []any{}},
	}
	for i, q := range c.queries {
		p.Targets = append(p.Targets, target{
			RefID: string(rune('A' + i)), Datasource: prometheus, Expr: q.expr, LegendFormat: q.legend, Instant: stat,
		})
	}
	defaults := &p.FieldConfig.Defaults
	if stat {
		p.Type = "stat"
		p.Options = map[string]any{
			"colorMode": "value", "graphMode": "none", "textMode": "auto",
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		}
		defaults.Color = map[string]any{"mode": "thresholds"}
		defaults.Thresholds = c.thresholds()
		return p
	}
	p.Type = "timeseries"
	p.Options = map[string]any{
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
	defaults.Min = new(0.0)
	defaults.Custom = map[string]any{"fillOpacity": 10, "lineWidth": 1, "showPoints": "never", "spanNulls": false}
	return p
}

// thresholds returns green, and red where the value says that something is wrong.
func (c chart) thresholds() *thresholds {
	t := &thresholds{Mode: "absolute", Steps: []step{{Color: "green"}}}
	switch {
	case c.badFrom != nil:
		t.Steps = append(t.Steps, step{Color: "red", Value: c.badFrom})
	case c.goodFrom != nil:
		t.Steps = []step{{Color: "red"}, {Color: "green", Value: c.goodFrom}}
	}
	return t
}
