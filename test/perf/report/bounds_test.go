package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		check Check
		want  string
	}{
		"above":               {Check{Value: "drain.rate", AtLeast: new(199.0)}, "ok"},
		"just":                {Check{Value: "drain.rate", AtLeast: new(200.0)}, "ok"},
		"below":               {Check{Value: "drain.rate", AtLeast: new(201.0)}, "FAILED"},
		"within":              {Check{Value: "drain.requests", AtMost: new(8.0)}, "ok"},
		"beyond":              {Check{Value: "drain.requests", AtMost: new(7.9)}, "FAILED"},
		"a quotient":          {Check{Value: "drain.rate / drain.requests", AtLeast: new(25.0)}, "ok"},
		"a quotient below":    {Check{Value: "drain.rate / drain.requests", AtLeast: new(25.1)}, "FAILED"},
		"not measured":        {Check{Value: "plain.rate", AtLeast: new(0.0)}, "MISSING"},
		"by what is not":      {Check{Value: "drain.rate / plain.rate", AtLeast: new(0.0)}, "MISSING"},
		"what is not by what": {Check{Value: "plain.rate / drain.rate", AtMost: new(9.0)}, "MISSING"},
	} {
		t.Run(name, func(t *testing.T) {
			bounds := &Bounds{Checks: []Check{test.check}}
			text, failed := bounds.Check(sample())
			lines := strings.Split(strings.TrimSpace(text), "\n")
			if verdict, _, _ := strings.Cut(lines[len(lines)-1], " "); verdict != test.want || (failed == 0) != (test.want == "ok") {
				t.Errorf("%d failed, want %s:\n%s", failed, test.want, text)
			}
		})
	}
}

func TestCheckByZero(t *testing.T) {
	r := sample()
	r.Scenario("drain").Set(Jobs, 0)
	if _, failed := (&Bounds{Checks: []Check{{Value: "drain.rate / drain.jobs", AtLeast: new(0.0)}}}).Check(r); failed != 1 {
		t.Error("a quotient by 0 holds")
	}
}

func TestTargets(t *testing.T) {
	target := func(value string, atLeast, atMost *float64, aim float64) Target {
		return Target{Check: Check{What: value, Value: value, AtLeast: atLeast, AtMost: atMost}, Aim: aim, Show: "number"}
	}
	bounds := &Bounds{Targets: []Target{
		target("drain.rate", new(100.0), nil, 150), target("drain.rate", new(100.0), nil, 250), target("drain.rate", new(300.0), nil, 400),
		target("drain.requests", nil, new(9.0), 8), target("drain.requests", nil, new(8.0), 6), target("drain.requests", nil, new(7.0), 6),
		// No figure, no row.
		target("plain.rate", new(1.0), nil, 2),
	}}
	var got []string
	for _, row := range bounds.targets(sample()).rows {
		got = append(got, row[len(row)-1])
	}
	want := []string{"aim reached", "reached", "missed", "aim reached", "reached", "missed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadBounds(t *testing.T) {
	for name, test := range map[string]struct{ text, wrong string }{
		"none":            {text: ""},
		"one of each":     {text: "checks: [{what: a, value: b, atLeast: 1}]\ntargets: [{what: a, value: b, atMost: 1, aim: 0, show: rate}]"},
		"unknown key":     {text: "checks: [{what: a, value: b, atLeats: 1}]", wrong: "atLeats"},
		"without a bound": {text: "checks: [{what: a, value: b}]", wrong: "exactly one of"},
		"with two":        {text: "targets: [{what: a, value: b, atLeast: 1, atMost: 2, aim: 3}]", wrong: "exactly one of"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bounds.yaml")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadBounds(path)
			if (err != nil) != (test.wrong != "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("got %v, want one with %q", err, test.wrong)
			}
		})
	}
}

// The bounds that are kept with the code can be read.
func TestKeptBounds(t *testing.T) {
	bounds, err := ReadBounds("../bounds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(bounds.Checks) == 0 || len(bounds.Targets) == 0 {
		t.Errorf("got %+v", bounds)
	}
}
