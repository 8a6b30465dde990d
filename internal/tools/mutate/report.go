package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// outcome is what became of a mutant.
type outcome string

const (
	killed   outcome = "killed"
	survived outcome = "survived"
	// timedOut counts as killed: tests that never end are noticed.
	timedOut outcome = "timed out"
	// invalid mutants do not compile, as not every change fits the types.
	invalid outcome = "not valid"
	// notCovered mutants are in code that no test executes.
	notCovered outcome = "not covered"
	// notTried mutants are not in the sample, or behind the deadline.
	notTried outcome = "not tried"
)

// columns are the outcomes of the table.
var columns = []outcome{killed, timedOut, survived, notCovered, invalid, notTried}

// table has a line for each package, and one for all.
func table(targets []target) string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 1, ' ', 0)
	fmt.Fprint(out, "| package\t")
	for _, column := range columns {
		fmt.Fprintf(out, "| %s\t", column)
	}
	fmt.Fprintf(out, "| caught\t|\n%s|\n", strings.Repeat("| ---\t", len(columns)+2))
	all := map[outcome]int{}
	for _, target := range targets {
		counts := map[outcome]int{}
		for _, m := range target.mutants {
			counts[m.outcome]++
			all[m.outcome]++
		}
		row(out, target.Dir, counts)
	}
	if len(targets) > 1 {
		row(out, "all", all)
	}
	_ = out.Flush() // Nothing fails to be written to a Builder.
	return text.String()
}

// row writes one line. Its last column is the share of mutants with which tests
// failed, of those that they executed.
func row(out *tabwriter.Writer, name string, counts map[outcome]int) {
	fmt.Fprintf(out, "| %s\t", name)
	for _, column := range columns {
		fmt.Fprintf(out, "| %d\t", counts[column])
	}
	caught := counts[killed] + counts[timedOut]
	if caught+counts[survived] == 0 {
		fmt.Fprint(out, "| \t|\n")
		return
	}
	fmt.Fprintf(out, "| %.1f %%\t|\n", 100*float64(caught)/float64(caught+counts[survived]))
}

// render returns the report: the table, and what tests do not notice.
func render(targets []target) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# Mutants\n\n%s", table(targets))
	for _, target := range targets {
		fmt.Fprintf(&text, "\n## %s\n", target.Dir)
		for _, which := range []outcome{survived, timedOut, notCovered} {
			fmt.Fprintf(&text, "\n### %s\n\n", which)
			for _, m := range target.mutants {
				switch {
				case m.outcome != which:
				case which == notCovered:
					fmt.Fprintf(&text, "- %s\n", m.headline())
				default:
					fmt.Fprintf(&text, "%s\n\n```diff\n%s```\n\n", m.headline(), m.diff(target.sources[m.File]))
				}
			}
		}
	}
	return text.String()
}

// headline says where a mutant is and what it changes.
func (m *mutant) headline() string { return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.What) }

// key tells the mutants of a package apart.
func (m *mutant) key() string {
	return fmt.Sprintf("%s:%d-%d %s", filepath.Base(m.File), m.Start, m.End, m.New)
}

// diff returns the lines that a mutant changes, before and after.
func (m *mutant) diff(src []byte) string {
	text := string(src)
	first := strings.LastIndexByte(text[:m.Start], '\n') + 1
	last := len(text)
	if end := strings.IndexByte(text[m.End:], '\n'); end >= 0 {
		last = m.End + end
	}
	return marked("- ", text[first:last]) + marked("+ ", text[first:m.Start]+m.New+text[m.End:last])
}

// marked puts a mark before each line that is not blank.
func marked(mark, text string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			lines.WriteString(mark + strings.TrimRight(line, "\n") + "\n")
		}
	}
	return lines.String()
}
