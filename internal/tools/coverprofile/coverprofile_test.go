package coverprofile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := Read(strings.NewReader(`mode: set
example.org/m/internal/plan/plan.go:12.34,15.2 3 1
example.org/m/main.go:1.1,1.9 1 0

mode: set
example.org/m/main.go:1.1,1.9 1 7
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Block{
		{File: "example.org/m/internal/plan/plan.go", Start: Position{12, 34}, End: Position{15, 2}, Count: 1},
		{File: "example.org/m/main.go", Start: Position{1, 1}, End: Position{1, 9}},
		{File: "example.org/m/main.go", Start: Position{1, 1}, End: Position{1, 9}, Count: 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"another format":        "mode: set\nTN:\nSF:main.go\n",
		"a number out of range": "m/main.go:1.1,1.99999999999999999999 1 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if blocks, err := Read(strings.NewReader(text)); err == nil {
				t.Errorf("read %v", blocks)
			}
		})
	}
}

func TestContains(t *testing.T) {
	t.Parallel()
	block := Block{Start: Position{3, 10}, End: Position{5, 2}}
	for name, test := range map[string]struct {
		at   Position
		want bool
	}{
		"before it, on its first line": {Position{3, 9}, false},
		"its first character":          {Position{3, 10}, true},
		"a line within":                {Position{4, 1}, true},
		"its last character":           {Position{5, 1}, true},
		"behind it, on its last line":  {Position{5, 2}, false},
		"a line before it":             {Position{2, 30}, false},
		"a line behind it":             {Position{6, 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := block.Contains(test.at); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
