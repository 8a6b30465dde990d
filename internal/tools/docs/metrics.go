package main

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/job-handler/job-handler/internal/metrics"
)

const metricsFile = "metrics.md"

//go:embed metrics.md.tmpl
var metricsTemplate string

func metricsPage() ([]byte, error) {
	return fill(metricsTemplate, template.FuncMap{"buckets": buckets, "labels": labels}, metrics.Groups())
}

// buckets returns the upper bounds of a histogram's buckets, comma-separated.
func buckets(d metrics.Definition) string {
	bounds := make([]string, 0, len(d.Buckets))
	for _, bound := range d.Buckets {
		bounds = append(bounds, fmt.Sprint(bound))
		if strings.HasSuffix(d.Name, "_bytes") {
			bounds[len(bounds)-1] = size(bound)
		}
	}
	return strings.Join(bounds, ", ")
}

// size writes bytes as Kubernetes does.
func size(bytes float64) string {
	const mi = 1 << 20
	if bytes >= mi {
		return fmt.Sprintf("%gMi", bytes/mi)
	}
	return fmt.Sprintf("%gKi", bytes/(1<<10))
}

// labels returns the names of the labels, as PromQL's by has them.
func labels(d metrics.Definition) string {
	names := make([]string, 0, len(d.Labels))
	for _, label := range d.Labels {
		names = append(names, "`"+label.Name+"`")
	}
	return strings.Join(names, ", ")
}
