// Command configdocs writes docs/configuration.md, every flag of the manager and
// every key that it reads and writes on objects, from the code that declares
// them, to the folder named by its argument. It is run in its own folder.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:generate go run . ../../../docs

const (
	pageFile = "configuration.md"
	keysFile = "../../api/keys.go"
)

//go:embed configuration.md.tmpl
var pageTemplate string

// page is what the template is given.
type page struct {
	FlagGroups []flagGroup
	KeyGroups  []keyGroup
}

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "configdocs:", err)
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
	keys, err := keyGroups(keysFile)
	if err != nil {
		return nil, err
	}
	parsed, err := template.New(pageFile).Parse(pageTemplate)
	if err != nil {
		return nil, fmt.Errorf("parsing the template: %w", err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, page{FlagGroups: flagGroups(), KeyGroups: keys}); err != nil {
		return nil, fmt.Errorf("filling the template: %w", err)
	}
	return text.Bytes(), nil
}
