package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// folder is that of the documents.
const folder = "../../../docs"

// rendered returns a page as it is made now.
func rendered(t *testing.T, name string) string {
	t.Helper()
	text, err := pages[name]()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocsAreUpToDate(t *testing.T) {
	for name := range pages {
		got, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rendered(t, name), string(got)); diff != "" {
			t.Errorf("docs/%s is not what make generate writes (-generated +docs):\n%s", name, diff)
		}
	}
}

func TestWrite(t *testing.T) {
	if err := write([]string{t.TempDir()}); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no folder":   {nil, "want one argument"},
		"two folders": {[]string{"x", "y"}, "got 2"},
		"not there":   {[]string{filepath.Join(t.TempDir(), "none")}, "writing "},
	} {
		if err := write(c.args); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestFill(t *testing.T) {
	text, err := fill("{{loud .name}}", map[string]any{"loud": strings.ToUpper}, map[string]string{"name": "x"})
	if err != nil || string(text) != "X" {
		t.Errorf("%q, %v", text, err)
	}
	for _, bad := range []string{"{{", "{{.other}}"} {
		if _, err := fill(bad, nil, map[string]string{"name": "x"}); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
