// Command dashboard writes the Grafana dashboard to the file named by its argument:
// the panels of panels.go, arranged.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

//go:generate go run . ../../../config/components/prometheus/dashboard.json

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, the file to write, got %d", len(args))
	}
	text, err := render()
	if err != nil {
		return err
	}
	if err := os.WriteFile(args[0], text, 0o644); err != nil {
		return fmt.Errorf("writing the dashboard: %w", err)
	}
	return nil
}

// render returns the dashboard as Grafana imports it.
func render() ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(arranged(rows())); err != nil {
		return nil, fmt.Errorf("encoding the dashboard: %w", err)
	}
	return text.Bytes(), nil
}
