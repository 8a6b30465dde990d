// Package docs writes the pages of docs that are made of code.
package docs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// Files are what a generator writes, by name in the folder of the documents.
type Files map[string][]byte

// Write is what a generator does: it writes what render returns to the folder that
// its one argument names.
func Write(args []string, render func() (Files, error)) error {
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

// Fill returns the template with what page has. A key that is missing in a map is
// an error.
func Fill(text string, funcs template.FuncMap, page any) ([]byte, error) {
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
