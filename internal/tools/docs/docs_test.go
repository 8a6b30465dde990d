package docs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	folder := t.TempDir()
	render := func() (Files, error) { return Files{"a.md": []byte("A"), "b.md": []byte("B")}, nil }
	if err := Write([]string{folder}, render); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.md": "A", "b.md": "B"} {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWriteFails(t *testing.T) {
	good := func() (Files, error) { return Files{"a.md": nil}, nil }
	for name, c := range map[string]struct {
		args   []string
		render func() (Files, error)
		want   string
	}{
		"no folder":      {nil, good, "want one argument"},
		"two folders":    {[]string{"x", "y"}, good, "got 2"},
		"not there":      {[]string{filepath.Join(t.TempDir(), "none")}, good, "writing a.md"},
		"not renderable": {[]string{t.TempDir()}, func() (Files, error) { return nil, errors.New("no keys") }, "no keys"},
	} {
		if err := Write(c.args, c.render); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestFill(t *testing.T) {
	text, err := Fill("{{loud .name}}", map[string]any{"loud": strings.ToUpper}, map[string]string{"name": "x"})
	if err != nil || string(text) != "X" {
		t.Errorf("%q, %v", text, err)
	}
	for _, bad := range []string{"{{", "{{.other}}"} {
		if _, err := Fill(bad, nil, map[string]string{"name": "x"}); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
