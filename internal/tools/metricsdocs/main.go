// Command metricsdocs writes docs/metrics.md, every metric of the manager with the
// values of its labels, from the definitions that they are made of, to the folder
// named by its argument.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/job-handler/job-handler/internal/metrics"
)

//go:generate go run . ../../../docs

const pageFile = "metrics.md"

//go:embed metrics.md.tmpl
var pageTemplate string

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "metricsdocs:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, the folder to write to, got %d", len(args))
	}
	text, err := render()
	if err != nil {
		return err
	}
	file := filepath.Join(args[0], pageFile)
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

func render() ([]byte, error) {
	parsed, err := template.New(pageFile).Funcs(template.FuncMap{"buckets": buckets, "labels": labels}).Parse(pageTemplate)
	if err != nil {
		return nil, fmt.Errorf("parsing the template: %w", err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, metrics.Groups()); err != nil {
		return nil, fmt.Errorf("filling the template: %w", err)
	}
	return text.Bytes(), nil
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
