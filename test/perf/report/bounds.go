package report

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"sigs.k8s.io/yaml"
)

// Bounds are what a run is held against. They are read from a file that is kept
// with the code.
type Bounds struct {
	// Checks fail a run. They are ratios of what one run found, so that they hold
	// on any machine, or what no machine changes, such as a number of requests.
	Checks []Check `json:"checks"`
	// Targets are what is to be reached on two cores; they are told, not enforced.
	Targets []Target `json:"targets"`
}

// Check is one bound on a path of Report.Find, or on the quotient of two of them,
// written as "a / b". One of AtLeast and AtMost is set.
type Check struct {
	What    string   `json:"what"`
	Value   string   `json:"value"`
	AtLeast *float64 `json:"atLeast,omitempty"`
	AtMost  *float64 `json:"atMost,omitempty"`
}

// Target is a Check with what it should come to one day.
type Target struct {
	Check `json:",inline"`

	// Aim is beyond the bound, in its direction.
	Aim float64 `json:"aim"`
	// Show is the name of a Value whose form the value is shown in, or seconds,
	// percent or number.
	Show string `json:"show"`
}

// ReadBounds reads a file of bounds, and refuses one with an unknown key, or a
// bound that is none.
func ReadBounds(path string) (*Bounds, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	bounds := &Bounds{}
	if err := yaml.UnmarshalStrict(text, bounds); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	for _, check := range bounds.all() {
		if (check.AtLeast == nil) == (check.AtMost == nil) {
			return nil, fmt.Errorf("reading %s: %q: exactly one of atLeast and atMost must be set", path, check.What)
		}
	}
	return bounds, nil
}

func (b *Bounds) all() []Check {
	all := slices.Clone(b.Checks)
	for _, target := range b.Targets {
		all = append(all, target.Check)
	}
	return all
}

// value returns the check's value, and whether the run has all that it is made
// of.
func (c Check) value(r *Report) (float64, bool) {
	path, by, isQuotient := strings.Cut(c.Value, " / ")
	value, found := r.Find(path)
	if !isQuotient || !found {
		return value, found
	}
	divisor, found := r.Find(by)
	if !found || divisor == 0 {
		return 0, false
	}
	return value / divisor, true
}

// holds reports whether value is within the bound.
func (c Check) holds(value float64) bool {
	if c.AtLeast != nil {
		return value >= *c.AtLeast
	}
	return value <= *c.AtMost
}

// bound returns the bound in words.
func (c Check) bound() (words string, limit float64) {
	if c.AtLeast != nil {
		return "at least", *c.AtLeast
	}
	return "at most", *c.AtMost
}

// Check holds the report against the checks, and returns a table of all of them
// and how many failed. A value that the report lacks fails too.
func (b *Bounds) Check(r *Report) (text string, failed int) {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\twhat\tfound\tbound")
	for _, check := range b.Checks {
		value, found := check.value(r)
		words, limit := check.bound()
		verdict, shown := "ok", number(3)(value)
		switch {
		case !found:
			verdict, shown = "MISSING", "-"
		case !check.holds(value):
			verdict = "FAILED"
		}
		if verdict != "ok" {
			failed++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s %s\n", verdict, check.What, shown, words, number(3)(limit))
	}
	_ = w.Flush() // a strings.Builder takes everything
	return out.String(), failed
}

// targets returns the targets for which the report has a figure, with that.
func (b *Bounds) targets(r *Report) table {
	t := table{title: "Targets", head: []string{"what", "at least", "aim", "found", ""}}
	for _, target := range b.Targets {
		value, found := target.value(r)
		if !found {
			continue
		}
		_, limit := target.bound()
		t.rows = append(t.rows, []string{
			target.What, target.show(limit), target.show(target.Aim), target.show(value), target.verdict(value),
		})
	}
	return t
}

func (t Target) verdict(value float64) string {
	aim := t.Check
	if aim.AtLeast != nil {
		aim.AtLeast = &t.Aim
	} else {
		aim.AtMost = &t.Aim
	}
	switch {
	case aim.holds(value):
		return "aim reached"
	case t.holds(value):
		return "reached"
	default:
		return "missed"
	}
}

func (t Target) show(v float64) string {
	switch t.Show {
	case "seconds":
		return seconds(v)
	case "percent":
		return percent(v)
	case "number", "":
		return number(2)(v)
	default:
		return describe(Value(t.Show)).show(v)
	}
}
