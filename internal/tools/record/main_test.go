package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

const page = `# Versions

| tool | node |
| --- | --- |
| 1.30 | no table of ours |

| Kubernetes | control plane | node |
| --- | --- | --- |
| 1.30 | | |
| 1.37 | passed 2026-01-01 | not tested |

The end.
`

const recorded = `# Versions

| tool | node |
| --- | --- |
| 1.30 | no table of ours |

| Kubernetes | control plane | node |
| --- | --- | --- |
| 1.30 |  | FAILED 2026-11-30 |
| 1.37 | passed 2026-01-01 | not tested |

The end.
`

func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)
	if err := run([]string{path, "1.30", "node", "FAILED"}, now); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != recorded {
		t.Errorf("got\n%s\nwant\n%s", got, recorded)
	}
}

func TestRunRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown version": {"1.29", "control plane"},
		"unknown tier":    {"1.30", "moon"},
	} {
		if _, err := record(page, args[0], args[1], "passed"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := run([]string{"page.md"}, time.Now()); err == nil {
		t.Error("one argument: no error")
	}
}
