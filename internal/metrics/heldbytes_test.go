package metrics

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Of many namespaces those with the most have a series, and the sum has all.
func TestBytesOfManyNamespaces(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewRetention(registry)
	if err != nil {
		t.Fatal(err)
	}
	values := func(name string) map[string]float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]float64{}
		for _, family := range families {
			for _, series := range family.GetMetric() {
				if family.GetName() != name {
					continue
				}
				namespace := ""
				if len(series.GetLabel()) > 0 {
					namespace = series.GetLabel()[0].GetValue()
				}
				found[namespace] = series.GetGauge().GetValue()
			}
		}
		return found
	}
	if got := values(resultsAllBytes.Name); len(got) != 0 {
		t.Errorf("%v before anything was counted", got)
	}
	m.ResetBytes(nil)
	if got := values(resultsNamespaces.Name)[""]; got != 0 {
		t.Errorf("%g namespaces of none", got)
	}
	bytes := map[string]int64{}
	for i := range 3 * mostNamespaces {
		bytes[fmt.Sprintf("n-%d", i)] = int64(i + 1)
	}
	m.ResetBytes(bytes)
	m.SetBytes("n-0", 10_000)
	m.SetBytes("n-299", 0)
	got := values(resultsBytes.Name)
	if len(got) != mostNamespaces || got["n-0"] != 10_000 || got["n-298"] != 299 || got["n-200"] != 201 {
		t.Errorf("%d namespaces: %v", len(got), got)
	}
	if _, gone := got["n-299"]; gone {
		t.Error("a namespace without results")
	}
	if all, want := values(resultsAllBytes.Name)[""], float64(300*301/2-300-1+10_000); all != want {
		t.Errorf("%g bytes in all, want %g", all, want)
	}
	if number := values(resultsNamespaces.Name)[""]; number != 299 {
		t.Errorf("%g namespaces", number)
	}
	if bytes["n-299"] != 300 {
		t.Error("the caller's numbers were changed")
	}
}
