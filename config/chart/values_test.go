// Package chart_test holds what is said of the Helm chart's values in several
// places together: values.yaml, its schema, the chart's README, the templates and
// the manager's flags. What the templates make is compared with kustomize in the
// tests of config.
package chart_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/job-handler/job-handler/internal/options"
)

const (
	valuesFile = "job-handler/values.yaml"
	schemaFile = "job-handler/values.schema.json"
	readmeFile = "job-handler/README.md"
	templates  = "job-handler/templates"
)

// ownTemplates are those that no manifest of config has.
var ownTemplates = []string{"_helpers.tpl", "NOTES.txt", "checks.yaml", "hooks/release.yaml", "tests/stamping.yaml"}

// ownFlags are flags that are the chart's business, besides those that the
// Deployment sets.
var ownFlags = []string{"kubeconfig", "metrics-bind-address", "namespace", "webhook", "webhook-cert-dir", "webhook-host"}

// schema is what is looked at of the values' JSON Schema.
type schema struct {
	Type                 any               `json:"type"`
	Description          string            `json:"description"`
	Properties           map[string]schema `json:"properties"`
	Items                *schema           `json:"items,omitempty"`
	AdditionalProperties any               `json:"additionalProperties"`
}

// value is one that can be set.
type value struct {
	preset any
	schema schema
	// inner is true if it has values of its own.
	inner bool
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readSchema(t *testing.T) schema {
	t.Helper()
	var root schema
	if err := json.Unmarshal([]byte(read(t, schemaFile)), &root); err != nil {
		t.Fatal(err)
	}
	// Helm's own: values for all charts of a release.
	delete(root.Properties, "global")
	return root
}

// values returns those of values.yaml by their whole names. It fails where that
// and the schema do not have the same ones.
func values(t *testing.T) map[string]value {
	t.Helper()
	var presets map[string]any
	if err := yaml.UnmarshalStrict([]byte(read(t, valuesFile)), &presets); err != nil {
		t.Fatal(err)
	}
	all := map[string]value{}
	collect(t, all, "", presets, readSchema(t))
	return all
}

func collect(t *testing.T, all map[string]value, prefix string, presets map[string]any, of schema) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(presets)), slices.Sorted(maps.Keys(of.Properties))); diff != "" {
		t.Errorf("%q: edit one of both (-%s +%s):\n%s", prefix, valuesFile, schemaFile, diff)
	}
	if of.AdditionalProperties != false {
		t.Errorf("%s: %q needs additionalProperties: false, or a misspelt value is taken", schemaFile, prefix)
	}
	for name, preset := range presets {
		described := of.Properties[name]
		inner, isMapping := preset.(map[string]any)
		v := value{preset: preset, schema: described, inner: isMapping && len(inner) > 0 && described.Properties != nil}
		all[prefix+name] = v
		if v.inner {
			collect(t, all, prefix+name+".", inner, described)
		}
	}
}

func TestValuesAreUsed(t *testing.T) {
	var used strings.Builder
	err := fs.WalkDir(os.DirFS(templates), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			used.WriteString(read(t, path.Join(templates, name)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range values(t) {
		if !v.inner && !regexp.MustCompile(`\.Values\.`+regexp.QuoteMeta(name)+`\b`).MatchString(used.String()) {
			t.Errorf("%s: %s is used by no template", valuesFile, name)
		}
	}
}

var valueLine = regexp.MustCompile(`^( *)(\w+):`)

// Each value stands below what the schema says of it.
func TestValuesFileDescribes(t *testing.T) {
	got := map[string]string{}
	var comment, parents []string
	for line := range strings.Lines(read(t, valuesFile)) {
		trimmed := strings.TrimSpace(line)
		if text, isComment := strings.CutPrefix(trimmed, "# "); isComment {
			comment = append(comment, text)
			continue
		}
		if found := valueLine.FindStringSubmatch(line); found != nil {
			depth := len(found[1]) / 2
			parents = append(parents[:min(depth, len(parents))], found[2])
			got[strings.Join(parents, ".")] = strings.Join(comment, " ")
		}
		comment = nil
	}
	for name, v := range values(t) {
		switch {
		case v.schema.Description == "":
			t.Errorf("%s: %s has no description", schemaFile, name)
		case got[name] != v.schema.Description:
			t.Errorf("%s: the comment of %s is not the description in %s:\n- %s\n+ %s", valuesFile, name, schemaFile, got[name], v.schema.Description)
		}
	}
}

var readmeRow = regexp.MustCompile("(?m)^\\| `([\\w.]+)` \\| .*$")

// The README has a row for each value.
func TestReadmeDescribes(t *testing.T) {
	got := map[string]string{}
	for _, found := range readmeRow.FindAllStringSubmatch(read(t, readmeFile), -1) {
		got[found[1]] = found[0]
	}
	for name, v := range values(t) {
		if v.inner {
			continue
		}
		if want := fmt.Sprintf("| %#q | %s | %s |", name, shown(t, v.preset), v.schema.Description); got[name] != want {
			t.Errorf("%s: the row of %s is not the one to be made of %s and %s:\n- %s\n+ %s", readmeFile, name, valuesFile, schemaFile, got[name], want)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s: there is no value %s", readmeFile, name)
	}
}

// shown returns a default as the README has it.
func shown(t *testing.T, preset any) string {
	t.Helper()
	text, isText := preset.(string)
	if !isText || text == "" {
		encoded, err := json.Marshal(preset)
		if err != nil {
			t.Fatal(err)
		}
		text = string(encoded)
	}
	if strings.ContainsAny(text, ":,") {
		return "see values.yaml"
	}
	return "`" + text + "`"
}

// The flags are those of the manager, but for the chart's own.
func TestFlags(t *testing.T) {
	own := slices.Clone(ownFlags)
	for _, found := range regexp.MustCompile(`(?m)^ +- --([a-z-]+)`).FindAllStringSubmatch(read(t, templates+"/manager/deployment.yaml"), -1) {
		own = append(own, found[1])
	}
	got := readSchema(t).Properties["flags"].Properties
	for _, flags := range options.New().Flags().FlagSets {
		flags.VisitAll(func(flag *pflag.Flag) {
			if slices.Contains(own, flag.Name) {
				return
			}
			want := flagSchema(flag)
			if diff := cmp.Diff(want, got[flag.Name]); diff != "" {
				text, err := json.Marshal(map[string]any{"description": want.Description, "type": want.Type, "items": want.Items})
				if err != nil {
					t.Error(err)
				}
				t.Errorf("%s: flags.%s is not what the manager's flag is (-flag +schema):\n%swant %s, without items if null", schemaFile, flag.Name, diff, text)
			}
			delete(got, flag.Name)
		})
	}
	for name := range got {
		t.Errorf("%s: flags.%s: the manager has no such flag, or the chart sets it", schemaFile, name)
	}
}

func flagSchema(flag *pflag.Flag) schema {
	_, usage := pflag.UnquoteUsage(flag)
	described := schema{Description: usage}
	switch kind := flag.Value.Type(); {
	case kind == "bool":
		described.Type = "boolean"
	case strings.HasPrefix(kind, "int"):
		described.Type = "integer"
	case strings.HasSuffix(kind, "Array"), strings.HasSuffix(kind, "Slice"):
		described.Type, described.Items = []any{"string", "array"}, &schema{Type: "string"}
	default:
		// Durations and quantities, also 0.
		described.Type = []any{"string", "integer"}
	}
	return described
}

// A template has the path of the manifest that it is like, below config.
func TestTemplatesAreWhereManifestsAre(t *testing.T) {
	err := fs.WalkDir(os.DirFS(templates), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || slices.Contains(ownTemplates, name) {
			return err
		}
		if _, err := os.Stat(path.Join("..", name)); err != nil {
			t.Errorf("%s/%s is like no manifest: %v", templates, name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
