package main

import (
	"fmt"
	"strconv"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// child returns the value of a key of a mapping, nil if it is not there.
func child(mapping *yaml.Node, key string) *yaml.Node {
	if i := position(mapping, key); i >= 0 {
		return mapping.Content[i+1]
	}
	return nil
}

// position returns the index of a key in a mapping's content, -1 if it is not
// there.
func position(mapping *yaml.Node, key string) int {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// at returns what is at a path of keys, and of indices in sequences; nil if
// nothing is.
func at(node *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if node == nil {
			return nil
		}
		if node.Kind != yaml.SequenceNode {
			node = child(node, key)
			continue
		}
		i, err := strconv.Atoi(key)
		if err != nil || i >= len(node.Content) {
			return nil
		}
		node = node.Content[i]
	}
	return node
}

// must returns what is at a path, and an error that names it if nothing is.
func (o object) must(keys ...string) (*yaml.Node, error) {
	found := at(o.node, keys...)
	if found == nil {
		return nil, fmt.Errorf("%s %s has no %q, which the chart sets", o.text("kind"), o.text("metadata", "name"), keys)
	}
	return found, nil
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: yaml.NodeTagString, Value: text}
}
