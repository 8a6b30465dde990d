package main

import (
	"fmt"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// merge makes base, whose own content stays, also what variant is, if the
// condition holds. It can do what components do: change a scalar, and add keys
// and, at their end, items of a sequence.
func (m *marks) merge(base, variant *yaml.Node, condition string) error {
	switch {
	case base.Kind != variant.Kind:
		return fmt.Errorf("line %d: %q becomes something of another kind", base.Line, base.Value)
	case base.Kind == yaml.MappingNode:
		return m.mergeMapping(base, variant, condition)
	case base.Kind == yaml.SequenceNode:
		return m.mergeSequence(base, variant, condition)
	case m.changed[base] != "":
		if m.changed[base] != variant.Value {
			return fmt.Errorf("%q: two components change it", variant.Value)
		}
	case base.Value != variant.Value:
		m.changed[base] = base.Value
		mark := m.inline(fmt.Sprintf("{{ if %s }}%s{{ else }}%s{{ end }}", condition, variant.Value, base.Value))
		// What is quoted stays text, whatever it looks like.
		base.Style = (base.Style | variant.Style) & (yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle)
		base.Value, base.Tag = mark.Value, mark.Tag
	}
	return nil
}

func (m *marks) mergeMapping(base, variant *yaml.Node, condition string) error {
	for i := 0; i < len(base.Content); i += 2 {
		key := base.Content[i]
		if m.lines[key] {
			continue
		}
		value := child(variant, key.Value)
		if value == nil {
			return fmt.Errorf("%s: a component takes it away", key.Value)
		}
		if err := m.merge(base.Content[i+1], value, condition); err != nil {
			return fmt.Errorf("%s: %w", key.Value, err)
		}
	}
	var added []*yaml.Node
	for i := 0; i < len(variant.Content); i += 2 {
		there := position(base, variant.Content[i].Value)
		switch {
		case there < 0:
			added = append(added, variant.Content[i], variant.Content[i+1])
		case m.lines[base.Content[there]]:
			return fmt.Errorf("%s: two components add it", variant.Content[i].Value)
		}
	}
	if len(added) > 0 {
		base.Content = append(base.Content, m.when(base, condition, added...)...)
	}
	return nil
}

func (m *marks) mergeSequence(base, variant *yaml.Node, condition string) error {
	own := slices.DeleteFunc(slices.Clone(base.Content), func(item *yaml.Node) bool { return m.lines[item] })
	if len(variant.Content) < len(own) {
		return fmt.Errorf("a component takes %d items away", len(own)-len(variant.Content))
	}
	for i, item := range own {
		if err := m.merge(item, variant.Content[i], condition); err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	if added := variant.Content[len(own):]; len(added) > 0 {
		base.Style = 0
		base.Content = append(base.Content, m.when(base, condition, added...)...)
	}
	return nil
}
