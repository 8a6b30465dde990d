// Command queries prints which metrics and labels PromQL expressions use. It reads a
// JSON list of expressions and writes a list with an answer for each.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// answer is what an expression uses.
type answer struct {
	// Error says why it is no expression, "" if it is one.
	Error string `json:"error,omitempty"`
	// Selectors are the series that it reads.
	Selectors []selector `json:"selectors"`
	// Labels are those that it groups or joins by.
	Labels []string `json:"labels"`
}

// selector names series.
type selector struct {
	Metric string `json:"metric"`
	// Equal and Patterns are the values that labels must have, or match; a value
	// that they must not have is there too.
	Equal    map[string]string `json:"equal,omitempty"`
	Patterns map[string]string `json:"patterns,omitempty"`
}

func main() {
	var expressions []string
	if err := json.NewDecoder(os.Stdin).Decode(&expressions); err != nil {
		fmt.Fprintln(os.Stderr, "queries: reading expressions:", err)
		os.Exit(1)
	}
	answers := make([]answer, 0, len(expressions))
	for _, expression := range expressions {
		answers = append(answers, look(expression))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fmt.Fprintln(os.Stderr, "queries: writing answers:", err)
		os.Exit(1)
	}
}

func look(expression string) answer {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		return answer{Error: err.Error()}
	}
	var found answer
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			found.Selectors = append(found.Selectors, selected(n))
		case *parser.AggregateExpr:
			found.Labels = append(found.Labels, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				found.Labels = append(found.Labels, n.VectorMatching.MatchingLabels...)
				found.Labels = append(found.Labels, n.VectorMatching.Include...)
			}
		}
		return nil
	})
	return found
}

func selected(vector *parser.VectorSelector) selector {
	s := selector{Metric: vector.Name, Equal: map[string]string{}, Patterns: map[string]string{}}
	for _, matcher := range vector.LabelMatchers {
		switch {
		case matcher.Name == labels.MetricName:
		case matcher.Type == labels.MatchEqual || matcher.Type == labels.MatchNotEqual:
			s.Equal[matcher.Name] = matcher.Value
		default:
			s.Patterns[matcher.Name] = matcher.Value
		}
	}
	return s
}
