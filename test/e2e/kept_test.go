package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every way in which something can vanish names stories that are told.
func TestWhatIsKeptNamesItsStories(t *testing.T) {
	told := map[string]bool{}
	for _, s := range stories {
		told[s.name] = false
	}
	for _, s := range interruptions {
		told[s.name] = false
	}
	for _, s := range slices.Concat(operations, followStories) {
		told[s.name] = true
	}
	text, err := os.ReadFile(moduleRoot + "/docs/what-is-kept.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("(\\*?)`([a-z-]+)`")
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if !strings.HasPrefix(line, "| ") || cells[len(cells)-1] == "test" || strings.HasPrefix(line, "| ---") {
			continue
		}
		rows++
		names := named.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(names) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, name := range names {
			takesLong, known := told[name[2]]
			if !known {
				t.Errorf("no story %q: %s", name[2], line)
			}
			if takesLong != (name[1] == "*") {
				t.Errorf("story %q is in italics, or not, by mistake: %s", name[2], line)
			}
		}
	}
	if rows < 20 {
		t.Errorf("%d rows only", rows)
	}
}
