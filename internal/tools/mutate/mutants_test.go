package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// after returns what each mutant makes of a function's body, without white space
// around lines.
func after(t *testing.T, src string) []string {
	t.Helper()
	mutants, err := mutantsOf("a.go", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	var changed []string
	for _, m := range mutants {
		mutated := m.apply([]byte(src))
		if _, err := parser.ParseFile(token.NewFileSet(), "a.go", mutated, parser.SkipObjectResolution); err != nil {
			t.Errorf("%s is no Go: %v", m.diff([]byte(src)), err)
		}
		for line := range strings.Lines(m.diff([]byte(src))) {
			if text, ok := strings.CutPrefix(line, "+ "); ok {
				changed = append(changed, strings.TrimSpace(text))
			}
		}
	}
	return changed
}

func TestMutantsOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		src  string
		want []string
	}{
		"a condition": {
			"func f(a bool) {\n\tif a {\n\t}\n}",
			[]string{"if true || (a) {", "if false && (a) {"},
		},
		"a comparison as a condition": {
			"func f(a int) {\n\tif a < 3 {\n\t}\n}",
			[]string{"if true || (a < 3) {", "if false && (a < 3) {", "if a <= 3 {"},
		},
		"all of several": {
			"func f(a, b, c bool) {\n\tif a && b && !c {\n\t}\n}",
			[]string{
				"if false && (a && b && !c) {", "if a && b && (true || !c) {",
				"if (true || a) && b && !c {", "if a && (true || b) && !c {",
			},
		},
		"any of several, in parentheses": {
			"func f(a, b, c bool) {\n\tif a && (b || c) {\n\t}\n}",
			[]string{
				"if false && (a && (b || c)) {", "if (true || a) && (b || c) {", "if a && ((true || b || c)) {",
				"if a && ((false && (b)) || c) {", "if a && (b || (false && (c))) {",
			},
		},
		"a loop": {
			"func f() {\n\tfor i := 0; i < 3; i++ {\n\t}\n}",
			[]string{"for i := 0; false && (i < 3); i++ {", "for i := 0; i <= 3; i++ {"},
		},
		"conditions of a switch": {
			"func f(a bool) {\n\tswitch {\n\tcase a:\n\t}\n}",
			[]string{"case true || (a):", "case false && (a):"},
		},
		"values of a switch": {"func f(a int) {\n\tswitch a {\n\tcase 1:\n\t}\n}", nil},
		"comparisons elsewhere": {
			"func f(a, b int) {\n\tc, d := a == b, a > b\n}",
			[]string{"c, d := a != b, a > b", "c, d := a == b, a >= b", "c, d := a == b, a <= b"},
		},
		"arithmetic, but not of texts": {
			"func f(a int, b string) {\n\tc, d := a+a*2, b+\"x\"+b\n}",
			[]string{"c, d := a-a*2, b+\"x\"+b", "c, d := a+a/2, b+\"x\"+b"},
		},
		"returned values": {
			"func f(a, b int) (bool, int, n, error) {\n\treturn a == b, 0, g(a), nil\n}",
			[]string{
				"return !(a == b), 0, g(a), nil", "return a == b, 1, g(a), nil",
				"return a == b, 0, []n{g(a), *new(n)}[1], nil",
			},
		},
		"named results that share a type": {
			"func f() (a, b string) {\n\treturn \"\", c\n}",
			[]string{"return \"\", []string{c, *new(string)}[1]"},
		},
		"results of a function within": {
			"func f() {\n\tg := func() bool { return true }\n}",
			[]string{"g := func() bool { return !(true) }"},
		},
		"results of a call": {"func f() (int, error) {\n\treturn g()\n}", nil},
		"zero values":       {"func f() (bool, T, string, error) {\n\treturn false, T{}, \"\", nil\n}", []string{`return !(false), T{}, "", nil`}},
		"statements": {
			"func f() {\n\ta()\n\tb = 1\n\tc++\n\t_ = d\n\te := 1\n\tdefer g()\n}",
			[]string{"if false { a() }", "if false { b = 1 }", "if false { c++ }", "if false { defer g() }"},
		},
		"statements of loops": {
			"func f() {\n\tfor {\n\t\tbreak\n\t\tcontinue\n\t\tgoto A\n\t}\n}",
			[]string{"if false { break }", "if false { continue }"},
		},
		"statements of a select": {
			"func f() {\n\tselect {\n\tcase a <- 1:\n\t\tb <- 2\n\t}\n}",
			[]string{"if false { b <- 2 }"},
		},
		"the heads of statements": {"func f() {\n\tif a(); false {\n\t}\n}", []string{"if a(); true || (false) {", "if a(); false && (false) {"}},
		"fields": {
			"func f() {\n\ta := T{\n\t\tb: 1,\n\t\tc: 2, // two, or more\n\t}\n}",
			[]string{"// two, or more"},
		},
		"fields in one line, and keys": {
			"func f() {\n\ta, b := T{b: 1, c: nil, d: 2}, M{\"e\": 1}\n}",
			[]string{"a, b := T{ c: nil, d: 2}, M{\"e\": 1}", "a, b := T{b: 1, c: nil, }, M{\"e\": 1}"},
		},
		"outside functions":           {"var a = T{b: 1, c: 2 + 3}", nil},
		"functions outside functions": {"var a = func() { b() }", []string{"var a = func() { if false { b() } }"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, after(t, "package a\n\n"+test.src+"\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Coverage counts from the beginning of statements.
func TestAnchors(t *testing.T) {
	t.Parallel()
	src := []byte(`package a

func f(a int) {
	if a == 1 {
	} else if a == 2 {
	}
	switch {
	case a == 3:
		b()
	}
}
`)
	mutants, err := mutantsOf("a.go", src)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(src, []byte("\n"))
	want := map[int]string{4: "if a == 1", 5: "if a == 2", 8: "switch", 9: "b()"}
	got := map[int]string{}
	for _, m := range mutants {
		at := string(lines[m.anchor.Line-1][m.anchor.Column-1:])
		got[m.Line] = strings.TrimSuffix(at, " {")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMutantsOfGenerated(t *testing.T) {
	t.Parallel()
	if got := after(t, "// Code generated by x. DO NOT EDIT.\n\npackage a\n\nfunc f() { a() }\n"); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestMutantsOfRefuses(t *testing.T) {
	t.Parallel()
	if mutants, err := mutantsOf("a.go", []byte("package")); err == nil {
		t.Errorf("got %v", mutants)
	}
}
