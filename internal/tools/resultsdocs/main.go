// Command resultsdocs writes what docs has about results objects to the folder
// named by its argument: results.md, with the example that a run left behind, and
// the JSON Schema of job.json. It is run in its own folder.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run . ../../../docs

const (
	pageFile   = "results.md"
	schemaFile = "job-v1.schema.json"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "resultsdocs:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, the folder to write to, got %d", len(args))
	}
	files, err := render()
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(args[0], name), text, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// render returns the files by name.
func render() (map[string][]byte, error) {
	schema, err := jobSchema()
	if err != nil {
		return nil, err
	}
	text, err := encode(schema)
	if err != nil {
		return nil, err
	}
	page, err := renderPage(schema)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{pageFile: page, schemaFile: text}, nil
}
