package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	// Where the bases and what builds them are in the kustomizer's file system.
	configRoot = "/config"
	buildRoot  = "/build"
)

// bases is the folder config as kustomize reads it.
type bases struct {
	files filesys.FileSystem
	// components are the names of what is in config/components.
	components []string
	// sources are the files by the kinds and names of the objects in them.
	sources map[string][]string
}

// object is one that kustomize rendered.
type object struct {
	// source is its file below config, such as rbac/role.yaml.
	source string
	node   *yaml.Node
}

// load reads the YAML files of the folder config that are part of an installation.
func load(folder string) (*bases, error) {
	b := &bases{files: filesys.MakeFsInMemory(), sources: map[string][]string{}}
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "chart" || name == "samples" || name == "alerts"):
			return fs.SkipDir
		case entry.IsDir() && path.Dir(name) == "components":
			b.components = append(b.components, path.Base(name))
		case !entry.IsDir() && path.Ext(name) == ".yaml":
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				return err
			}
			return b.add(name, text)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the bases: %w", err)
	}
	return b, nil
}

// add takes a file in.
func (b *bases) add(name string, text []byte) error {
	documents, err := kio.FromBytes(text)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	for _, document := range documents {
		key := kindAndName(object{node: document.YNode()})
		b.sources[key] = append(b.sources[key], name)
	}
	return b.files.WriteFile(path.Join(configRoot, name), text)
}

// render returns the objects of config/default with components.
func (b *bases) render(components ...string) ([]object, error) {
	text := "resources: [../config/default]\n"
	if len(components) > 0 {
		text += "components: [../config/components/" + strings.Join(components, ", ../config/components/") + "]\n"
	}
	if err := b.files.WriteFile(buildRoot+"/kustomization.yaml", []byte(text)); err != nil {
		return nil, fmt.Errorf("writing what is rendered: %w", err)
	}
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(b.files, buildRoot)
	if err != nil {
		return nil, fmt.Errorf("rendering config/default with components %q: %w", components, err)
	}
	objects := make([]object, 0, rendered.Size())
	for _, resource := range rendered.Resources() {
		o := object{node: resource.YNode()}
		found := b.sources[kindAndName(o)]
		if len(found) != 1 {
			return nil, fmt.Errorf("%s is in the files %q: want it in one", kindAndName(o), found)
		}
		o.source = found[0]
		objects = append(objects, o)
	}
	return objects, nil
}

// read returns the only object of a file that no kustomization names.
func (b *bases) read(source string) (object, error) {
	text, err := b.files.ReadFile(path.Join(configRoot, source))
	if err != nil {
		return object{}, fmt.Errorf("reading %s: %w", source, err)
	}
	parsed, err := yaml.Parse(string(text))
	if err != nil {
		return object{}, fmt.Errorf("reading %s: %w", source, err)
	}
	return object{source: source, node: parsed.YNode()}, nil
}

func kindAndName(o object) string {
	return o.text("kind") + " " + o.text("metadata", "name")
}

// id tells an object from all others of an installation.
func (o object) id() string {
	return strings.Join([]string{o.text("apiVersion"), o.text("kind"), o.text("metadata", "namespace"), o.text("metadata", "name")}, " ")
}

// text returns the scalar at a path, empty if there is none.
func (o object) text(keys ...string) string {
	if found := at(o.node, keys...); found != nil {
		return found.Value
	}
	return ""
}
