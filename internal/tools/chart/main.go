// Command chart writes the Helm chart to the folder named by its argument. Its
// templates are what kustomize makes of config, with the values of values.go put
// in by the rules of substitutions.go; what no base has (helpers, hooks, notes) is
// in files. It is run in the module's folder config.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	flags := flag.NewFlagSet("chart", flag.ContinueOnError)
	image := flags.String("image", "", "The `image` that is installed: a name with tag or digest. Empty: the bases' own.")
	version := flags.String("version", "v0.0.0-dev", "The chart's `version`, after a v.")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("reading flags: %w", err)
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want one argument, the folder to write, got %d", flags.NArg())
	}
	bases, err := load(".")
	if err != nil {
		return err
	}
	c, err := newChart(bases, *image, *version)
	if err != nil {
		return err
	}
	files, err := c.files()
	if err != nil {
		return err
	}
	return replace(flags.Arg(0), files)
}

// replace makes the folder hold these files and no others.
func replace(folder string, files map[string]string) error {
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("removing the old chart: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("making folders of the chart: %w", err)
		}
		if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil {
			return fmt.Errorf("writing the chart: %w", err)
		}
	}
	return nil
}
