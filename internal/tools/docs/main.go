// Command docs writes the pages of docs that are made of code to the folder named by
// its argument: configuration.md, every flag of the manager and every key that it
// reads and writes on objects; metrics.md, every metric with the values of its labels;
// results.md, with the example that a run left behind, and the JSON Schema of job.json.
// It is run in its own folder.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:generate go run . ../../../docs

// pages are what is written, by name in the folder of the documents.
var pages = map[string]func() ([]byte, error){
	configurationFile: configuration,
	metricsFile:       metricsPage,
	resultsFile:       resultsPage,
	schemaFile:        schemaText,
}

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, the folder to write to, got %d", len(args))
	}
	for name, render := range pages {
		text, err := render()
		if err != nil {
			return fmt.Errorf("making %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(args[0], name), text, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// fill returns the template with what page has. A key that is missing in a map is
// an error.
func fill(text string, funcs template.FuncMap, page any) ([]byte, error) {
	parsed, err := template.New("page").Funcs(funcs).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parsing the template: %w", err)
	}
	var filled bytes.Buffer
	if err := parsed.Execute(&filled, page); err != nil {
		return nil, fmt.Errorf("filling the template: %w", err)
	}
	return filled.Bytes(), nil
}
