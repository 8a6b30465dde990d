package redact

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
)

// maxPattern bounds the length of an operator's pattern, in bytes.
const maxPattern = 1 << 10

// Set is a set of rules. It is safe for concurrent use. A nil Set has no rules.
type Set struct {
	scanner  *scanner
	patterns []pattern
}

// New returns a Set with the built-in rules, if builtin, and the operator's
// patterns, in RE2 syntax. What a pattern matches is replaced, or, where it has
// a group, what its first group matches; it is matched against each line by
// itself. The error names every pattern that cannot be used, a line for each.
func New(builtin bool, patterns []string) (*Set, error) {
	s := &Set{}
	if builtin {
		s.scanner = builtinScanner()
	}
	var errs []error
	for i, text := range patterns {
		p, err := newPattern(fmt.Sprintf("pattern-%d", i+1), text)
		if err != nil {
			errs = append(errs, fmt.Errorf("invalid value %q: %w", text, err))
			continue
		}
		s.patterns = append(s.patterns, p)
	}
	return s, errors.Join(errs...)
}

func (s *Set) empty() bool { return s == nil || s.scanner == nil && len(s.patterns) == 0 }

// String returns text redacted, and how often what was replaced.
func (s *Set) String(text string) (string, Counts) {
	if s.empty() || text == "" {
		return text, nil
	}
	var out bytes.Buffer
	w := s.Writer(&out)
	// A bytes.Buffer never fails.
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return out.String(), w.Counts()
}

// Counts tells how often each rule, by name, replaced something.
type Counts map[string]int64

// Add adds more to c, which must not be nil.
func (c Counts) Add(more Counts) {
	for rule, n := range more {
		c[rule] += n
	}
}

// Total returns how often something was replaced.
func (c Counts) Total() int64 {
	var total int64
	for _, n := range c {
		total += n
	}
	return total
}

// span is what is replaced.
type span struct {
	start, end int
	rule       string
	// more is true for what belongs to the span before it, and is not counted.
	more bool
	// open is true for a span that ends only because the text does.
	open bool
}

// marker is what stands for something that rule replaced.
func marker(rule string) string { return "[redacted " + rule + "]" }

// pattern is an operator's.
type pattern struct {
	name   string
	re     *regexp.Regexp
	group  int
	needed []byte
}

func newPattern(name, text string) (pattern, error) {
	if len(text) > maxPattern {
		return pattern{}, fmt.Errorf("must have at most %d bytes", maxPattern)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return pattern{}, fmt.Errorf("must be a pattern in RE2 syntax: %w", err)
	}
	if re.MatchString("") {
		return pattern{}, errors.New("must not match the empty text, which is everywhere")
	}
	return pattern{name: name, re: re, group: min(1, re.NumSubexp()), needed: needed(text)}, nil
}

// find appends what the pattern matches in text, line by line.
func (p *pattern) find(spans []span, text []byte) []span {
	for at := 0; at < len(text); {
		if len(p.needed) > 0 {
			hit := bytes.Index(text[at:], p.needed)
			if hit < 0 {
				return spans
			}
			at += bytes.LastIndexByte(text[at:at+hit], '\n') + 1
		}
		end := lineEnd(text, at)
		for _, m := range p.re.FindAllSubmatchIndex(text[at:end], -1) {
			start, stop := m[2*p.group], m[2*p.group+1]
			if start < stop {
				spans = append(spans, span{start: at + start, end: at + stop, rule: p.name})
			}
		}
		at = end + 1
	}
	return spans
}

// lineEnd returns where the line with text[at] ends: its newline, or the end.
func lineEnd(text []byte, at int) int {
	if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
		return at + n
	}
	return len(text)
}
