// Command record writes the result of a tier of the tests into a page: into the cell
// of a table whose row starts with a version of Kubernetes and whose column is headed
// by the tier, together with the date.
//
//	record docs/compatibility.md 1.30 'control plane' passed
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(args []string, now time.Time) error {
	if len(args) != 4 {
		return fmt.Errorf("want four arguments, <page> <version> <tier> <result>, got %d", len(args))
	}
	page, version, tier, result := args[0], args[1], args[2], args[3]
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	changed, err := record(string(text), version, tier, result+" "+now.UTC().Format(time.DateOnly))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(changed), 0o644)
}

// versions heads the first column of the tables.
const versions = "Kubernetes"

// record returns the page with a cell replaced.
func record(page, version, tier, cell string) (string, error) {
	lines := strings.Split(page, "\n")
	column := 0
	for i, line := range lines {
		cells := cellsOf(line)
		switch {
		case cells == nil:
			column = 0
		case cells[0] == versions:
			column = max(0, slices.Index(cells, tier))
		case column > 0 && cells[0] == version:
			if column >= len(cells) {
				return "", fmt.Errorf("the row of %s has no cell for %q", version, tier)
			}
			cells[column] = cell
			lines[i] = "| " + strings.Join(cells, " | ") + " |"
			return strings.Join(lines, "\n"), nil
		}
	}
	return "", fmt.Errorf("there is no table with the column %q and a row of %s", tier, version)
}

// cellsOf returns the cells of a row of a table, nil for any other line.
func cellsOf(line string) []string {
	row, is := strings.CutPrefix(line, "|")
	if !is {
		return nil
	}
	cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(row), "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}
