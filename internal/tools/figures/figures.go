package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/job-handler/job-handler/internal/tools/coverprofile"
)

// figure is a line of the table.
type figure struct {
	name   string
	number int
	// heading is one without a number.
	heading bool
	// minor is not worth a line, but where the other tree has one for it.
	minor bool
}

// total sums what is counted of the files that are chosen.
type total struct {
	files, lines, code, nolint int
	packages                   map[string]bool
	functions                  []int
	methods                    map[string]int
}

func (c code) total(chosen func(file) bool) total {
	t := total{packages: map[string]bool{}, methods: map[string]int{}}
	for _, file := range c.files {
		if !chosen(file) {
			continue
		}
		t.files++
		t.lines += file.lines
		t.code += file.code
		t.nolint += file.nolint
		t.packages[file.folder] = true
		t.functions = append(t.functions, file.functions...)
		for name, count := range file.methods {
			t.methods[path.Base(file.folder)+"."+name] += count
		}
	}
	slices.Sort(t.functions)
	return t
}

// figures returns the figures of the code. The product is the folders that are
// linked.
func (c code) figures(linked map[string]bool) []figure {
	product := c.total(func(f file) bool { return !f.test && linked[f.folder] })
	production := c.total(func(f file) bool { return !f.test })
	tests := c.total(func(f file) bool { return f.test })
	largest := slices.SortedFunc(maps.Keys(product.methods), func(a, b string) int {
		return cmp.Or(product.methods[b]-product.methods[a], cmp.Compare(a, b))
	})
	most := 0
	if len(largest) > 0 {
		most = product.methods[largest[0]]
	}
	figures := []figure{
		{name: "the product", heading: true},
		{name: "lines of code, no blanks or comments", number: product.code},
		{name: "all lines", number: product.lines},
		{name: "files", number: product.files},
		{name: "packages", number: len(product.packages)},
		{name: "functions, lines: half have at most", number: quantile(product.functions, 50)},
		{name: "functions, lines: nine of ten at most", number: quantile(product.functions, 90)},
		{name: "functions, lines: the longest", number: quantile(product.functions, 100)},
		{name: "nolint", number: product.nolint},
		{name: "direct requirements of its module", number: c.modules["."].direct},
		{name: "methods of the largest type", number: most},
	}
	for i, name := range largest {
		figures = append(figures, figure{name: "methods of " + name, number: product.methods[name], minor: i >= 5})
	}
	return append(figures,
		figure{name: "everything", heading: true},
		figure{name: "lines of code but for tests, no blanks or comments", number: production.code},
		figure{name: "all lines but for tests", number: production.lines},
		figure{name: "lines of tests", number: tests.lines},
		figure{name: "nolint, tests included", number: production.nolint + tests.nolint},
		figure{name: "modules", number: len(c.modules)},
	)
}

// quantile returns the value that so many percent of sorted values do not exceed.
func quantile(sorted []int, percent int) int {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*percent+99)/100-1]
}

// executed returns what of the product a run executed.
func (c code) executed(profile io.Reader, linked map[string]bool) ([]figure, error) {
	blocks, err := coverprofile.Read(profile)
	if err != nil {
		return nil, err
	}
	type place struct {
		name string
		line int
	}
	at := map[place]bool{}
	names, packages := map[string]bool{}, map[string]bool{}
	for _, block := range blocks {
		folder, ok := c.folderOf(path.Dir(block.File))
		name := path.Join(folder, path.Base(block.File))
		if _, known := c.files[name]; !ok || !known || block.Count == 0 || !linked[folder] {
			continue
		}
		names[name], packages[folder] = true, true
		for line := block.Start.Line; line <= block.End.Line; line++ {
			at[place{name, line}] = true
		}
	}
	lines := 0
	for name := range names {
		lines += c.files[name].lines
	}
	return []figure{
		{name: "what the run of the profile executes", heading: true},
		{name: "files of which something is executed", number: len(names)},
		{name: "all lines of these files", number: lines},
		{name: "lines executed", number: len(at)},
		{name: "packages of these files", number: len(packages)},
	}, nil
}

// rows returns the lines of a table of one tree.
func rows(figures []figure) [][]string {
	var lines [][]string
	for _, f := range figures {
		switch {
		case f.heading:
			lines = append(lines, nil, []string{f.name})
		case !f.minor:
			lines = append(lines, []string{"  " + f.name, grouped(f.number)})
		}
	}
	return lines
}

// compared returns the lines of a table of two trees, with by how much each number
// has changed. What the earlier one lacks is a dash.
func compared(revision string, before, after []figure) [][]string {
	was := map[string]figure{}
	for _, f := range before {
		was[f.name] = f
	}
	lines := [][]string{{"", revision, "now", "change", ""}}
	for _, f := range after {
		old, known := was[f.name]
		switch {
		case f.heading:
			lines = append(lines, nil, []string{f.name})
		case f.minor && (!known || old.minor):
		case !known:
			lines = append(lines, []string{"  " + f.name, "-", grouped(f.number)})
		default:
			difference, share := change(old.number, f.number)
			lines = append(lines, []string{"  " + f.name, grouped(old.number), grouped(f.number), difference, share})
		}
	}
	return lines
}

// change returns the difference of two numbers, and what share of the first it is.
func change(before, after int) (difference, share string) {
	if before == after {
		return "", ""
	}
	if before != 0 {
		share = fmt.Sprintf("%+.1f %%", 100*float64(after-before)/float64(before))
	}
	return signed(after - before), share
}

// write prints lines with the first column on the left and all others on the right.
func write(out io.Writer, lines [][]string) error {
	var widths [5]int
	for _, line := range lines {
		for i, cell := range line {
			if len(line) > 1 { // A heading may be longer than its column.
				widths[i] = max(widths[i], len(cell))
			}
		}
	}
	for _, line := range lines {
		text := ""
		for i, cell := range line {
			if i == 0 {
				text = fmt.Sprintf("%-*s", widths[0], cell)
			} else {
				text += fmt.Sprintf("   %*s", widths[i], cell)
			}
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(text, " ")); err != nil {
			return fmt.Errorf("printing the table: %w", err)
		}
	}
	return nil
}

func signed(n int) string {
	if n > 0 {
		return "+" + grouped(n)
	}
	return grouped(n)
}

func grouped(n int) string {
	if n < 0 {
		return "-" + grouped(-n)
	}
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
