package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// What is between these marks of a file is replaced, and what is around them
// stays.
const (
	beginMark = "<!-- begin: make bench-docs -->\n"
	endMark   = "<!-- end: make bench-docs -->\n"
)

// docsFile has the marks; the plots are beside it.
const docsFile = "benchmarks.md"

// WriteDocs replaces the tables of benchmarks.md in a folder of documentation,
// and the plots beside it, by those of reports. The first one is that of which
// targets and plots are shown.
func WriteDocs(folder string, bounds *Bounds, reports []*Report) error {
	path := filepath.Join(folder, docsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	replaced, err := replace(text, docs(bounds, reports))
	if err != nil {
		return fmt.Errorf("replacing the tables of %s: %w", path, err)
	}
	if err := reports[0].WritePlots(filepath.Join(folder, "benchmarks")); err != nil {
		return err
	}
	return os.WriteFile(path, replaced, 0o644)
}

// replace returns text with what is between the marks replaced.
func replace(text []byte, by string) ([]byte, error) {
	before, rest, found := bytes.Cut(text, []byte(beginMark))
	if !found {
		return nil, fmt.Errorf("there is no %q", strings.TrimSpace(beginMark))
	}
	_, after, found := bytes.Cut(rest, []byte(endMark))
	if !found {
		return nil, fmt.Errorf("there is no %q", strings.TrimSpace(endMark))
	}
	return bytes.Join([][]byte{before, []byte(beginMark), []byte(by), []byte(endMark), after}, nil), nil
}

func docs(bounds *Bounds, reports []*Report) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n## Targets\n\n")
	for _, r := range reports {
		fmt.Fprintf(&text, "%s:\n\n%s\n", r.headline(), bounds.targets(r).markdown())
	}
	for _, plot := range Plots {
		fmt.Fprintf(&text, "![%s](benchmarks/%s)\n", strings.TrimSuffix(plot, ".svg"), plot)
	}
	for _, r := range reports {
		fmt.Fprintf(&text, "\n## `%s`\n\n%s\n", r.Command, r.machine())
		for _, table := range r.tables() {
			fmt.Fprintf(&text, "\n### %s (`%s`)\n\n%s", table.title, r.Command, table.markdown())
		}
	}
	text.WriteString("\n")
	return text.String()
}

func (r *Report) headline() string {
	return fmt.Sprintf("%#q on %s", r.Command, r.Began.Format("2006-01-02"))
}

// machine returns what the report ran on, in words.
func (r *Report) machine() string {
	m := r.Machine
	return fmt.Sprintf("%s, in %.0f minutes, version %s, on %d cores (%s), %s of memory, Linux %s, %s. "+
		"The disk takes %.2f ms to have a write be safe.",
		r.Began.Format("2006-01-02 15:04 MST"), r.Seconds/60, r.Version, m.CPUs, m.Processor, m.Memory, m.Kernel, m.Go, m.SyncMillis)
}
