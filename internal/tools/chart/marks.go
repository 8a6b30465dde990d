package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// marks are parts of a template that YAML cannot hold. While objects are trees, a
// mark stands for each: a scalar, or an entry that is a line of its own.
type marks struct {
	texts []string
	// lines are the nodes of entries that are not the object's own.
	lines map[*yaml.Node]bool
	// changed are scalars that a component changes, with what they were.
	changed map[*yaml.Node]string
}

func newMarks() *marks {
	return &marks{lines: map[*yaml.Node]bool{}, changed: map[*yaml.Node]string{}}
}

var (
	lineMark   = regexp.MustCompile(`(?m)^( *)(?:- )?HELM-(\d+)-LINE(?:: "")?$`)
	inlineMark = regexp.MustCompile(`(?m)^( *)(.*)HELM-(\d+)-INLINE(.*)$`)
)

// inline returns a scalar in whose place text will be. In text, INDENT stands for
// the number of spaces before what belongs to the scalar's key.
func (m *marks) inline(text string) *yaml.Node {
	m.texts = append(m.texts, text)
	return scalar(fmt.Sprintf("HELM-%d-INLINE", len(m.texts)-1))
}

// line returns the content of an entry of a mapping or a sequence in whose place
// the lines will be. In them, COLUMN stands for the number of spaces before them,
// and INDENT for that before what belongs to one of them.
func (m *marks) line(in *yaml.Node, lines ...string) []*yaml.Node {
	m.texts = append(m.texts, strings.Join(lines, "\n"))
	content := []*yaml.Node{scalar(fmt.Sprintf("HELM-%d-LINE", len(m.texts)-1))}
	if in.Kind == yaml.MappingNode {
		empty := scalar("")
		empty.Style = yaml.DoubleQuotedStyle
		content = append(content, empty)
	}
	m.own(content...)
	return content
}

// own remembers entries as not the object's own.
func (m *marks) own(content ...*yaml.Node) {
	for _, node := range content {
		m.lines[node] = true
	}
}

// when returns content that is there only if the condition holds.
func (m *marks) when(in *yaml.Node, condition string, content ...*yaml.Node) []*yaml.Node {
	m.own(content...)
	return slices.Concat(m.line(in, "{{- if "+condition+" }}"), content, m.line(in, "{{- end }}"))
}

// fill puts the parts of the template in the places of their marks.
func (m *marks) fill(text string) (string, error) {
	var failed error
	take := func(number, indent string, extra int) string {
		i, err := strconv.Atoi(number)
		if err != nil || i >= len(m.texts) {
			failed = fmt.Errorf("there is no mark %s", number)
			return ""
		}
		return strings.NewReplacer("COLUMN", strconv.Itoa(len(indent)), "INDENT", strconv.Itoa(len(indent)+extra)).Replace(m.texts[i])
	}
	text = lineMark.ReplaceAllStringFunc(text, func(line string) string {
		found := lineMark.FindStringSubmatch(line)
		return found[1] + strings.ReplaceAll(take(found[2], found[1], 2), "\n", "\n"+found[1])
	})
	text = inlineMark.ReplaceAllStringFunc(text, func(line string) string {
		found := inlineMark.FindStringSubmatch(line)
		// What follows a dash begins two columns later.
		dash := strings.Count(found[2], "- ")
		return found[1] + found[2] + take(found[3], found[1], 2+2*min(dash, 1)) + found[4]
	})
	if failed == nil && strings.Contains(text, "HELM-") {
		failed = fmt.Errorf("a mark has no place of its own:\n%s", text)
	}
	return text, failed
}
