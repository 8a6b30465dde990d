package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range arranged(rows()).Panels {
		if ids[p.ID] {
			t.Errorf("%s: ID %d twice", p.Title, p.ID)
		}
		ids[p.ID] = true
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
		legends := map[string]bool{}
		for _, target := range p.Targets {
			if legends[target.LegendFormat] {
				t.Errorf("%s: two lines are called %q", p.Title, target.LegendFormat)
			}
			legends[target.LegendFormat] = true
			if p.Type == "timeseries" && strings.TrimSpace(target.LegendFormat) == "" {
				t.Errorf("%s: a line without a name", p.Title)
			}
		}
	}
}
