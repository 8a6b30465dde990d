package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	small = `package small

func Sign(n int) int {
	if n < 0 {
		return -1
	}
	return 2
}

func unused() int { return 5 }
`
	smallTest = `package small

import "testing"

func TestSign(t *testing.T) {
	if Sign(-1) != -1 || Sign(1) != 2 {
		t.Fail()
	}
}

func TestNothing(*testing.T) {}
`
)

// module makes a module with one package and its test the current folder.
func module(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"go.mod": "module example.org/small\n\ngo 1.26\n", "small.go": small, "small_test.go": smallTest,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// mutate runs the command, and returns the table of its report, with single spaces,
// and all of the report.
func mutate(t *testing.T, args ...string) (row, report string) {
	t.Helper()
	var printed strings.Builder
	if err := run(t.Context(), append(args, "."), &printed); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("bin/mutants/report.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	return strings.Join(strings.Fields(lines[4]), " "), string(text)
}

func TestMutate(t *testing.T) {
	module(t)
	if row, _ := mutate(t, "--limit=1ns"); row != "| . | 0 | 0 | 0 | 1 | 0 | 5 | |" {
		t.Errorf("after the limit: %s", row)
	}
	if row, _ := mutate(t, "--sample=2"); !strings.HasSuffix(row, "| 3 | 100.0 % |") {
		t.Errorf("with a sample of 2 of 5: %s", row)
	}
	disguise(t)
	row, report := mutate(t)
	// Of five executed ones the boundary is not noticed: no test asks for 0.
	if want := "| . | 2 | 2 | 1 | 1 | 0 | 0 | 80.0 % |"; row != want {
		t.Errorf("got %s, want %s", row, want)
	}
	for _, want := range []string{
		"small.go:4: boundary moved\n\n```diff\n- \tif n < 0 {\n+ \tif n <= 0 {\n```\n",
		"### not covered\n\n- small.go:10: the zero value returned\n",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	if source, err := os.ReadFile("small.go"); err != nil || string(source) != small {
		t.Errorf("the source was changed: %s %v", source, err)
	}
	if row, _ := mutate(t, "--run=TestNothing"); row != "| . | 0 | 0 | 0 | 6 | 0 | 0 | |" {
		t.Errorf("with other tests: %s", row)
	}
}

// disguise makes the killed mutants of an earlier run ones that timed out, so that
// they are told from those that are tried again, and adds half a line.
func disguise(t *testing.T) {
	t.Helper()
	journals, err := filepath.Glob("bin/mutants/*.jsonl")
	if err != nil || len(journals) != 1 {
		t.Fatalf("journals: %v %v", journals, err)
	}
	text, err := os.ReadFile(journals[0])
	if err != nil {
		t.Fatal(err)
	}
	disguised := strings.ReplaceAll(string(text), string(killed), string(timedOut)) + "\n{\"mut"
	if err := os.WriteFile(journals[0], []byte(disguised), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMutateSince(t *testing.T) {
	module(t)
	git := func(args ...string) {
		t.Helper()
		command := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, output)
		}
	}
	git("init", "--quiet")
	git("add", ".")
	git("commit", "--quiet", "--message=one")
	if err := os.WriteFile("small.go", []byte(strings.Replace(small, "return 2", "return 3", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("new.go", []byte("package small\n\nfunc unknown() int { return 7 }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	targets := []target{{Dir: ".", GoFiles: []string{"new.go", "small.go"}}}
	if err := targets[0].list(t.Context(), "HEAD"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range targets[0].mutants {
		got = append(got, m.headline())
	}
	want := []string{"new.go:3: the zero value returned", "small.go:7: the zero value returned"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := targets[0].list(t.Context(), "nowhere"); err == nil {
		t.Error("a revision that is not there was taken")
	}
}

func TestMutateRefuses(t *testing.T) {
	module(t)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no package":      {nil, "name a package"},
		"an unknown one":  {[]string{"./nowhere"}, "listing packages"},
		"an unknown flag": {[]string{"--nothing", "."}, "unknown flag"},
		"tests that fail": {[]string{".", "--", "-test.nothing"}, "the tests fail without any mutant"},
		"not a revision":  {[]string{"--since=nowhere", "."}, "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), test.args, &strings.Builder{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
