package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/yaml"
	k8syaml "sigs.k8s.io/yaml"
)

func realBases(t *testing.T) *bases {
	t.Helper()
	b, err := load("../../../config")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func realFiles(t *testing.T) map[string]string {
	t.Helper()
	c, err := newChart(realBases(t), "", "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	files, err := c.files()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// What a component makes of an object is there if the condition holds.
func TestMerge(t *testing.T) {
	for name, tc := range map[string]struct {
		base, variant, want, problem string
	}{
		"nothing": {"a: 1\n", "a: 1\n", "a: 1\n", ""},
		"a scalar": {
			"a: Ignore\nb: 1\n", "b: 1\na: Fail\n",
			"a: {{ if .Values.x }}Fail{{ else }}Ignore{{ end }}\nb: 1\n", "",
		},
		"a key": {
			"# Why.\na:\n  b: 1\nc: 2\n", "a:\n  b: 1\n  d:\n    e: [1]\nc: 2\n",
			"# Why.\na:\n  b: 1\n  {{- if .Values.x }}\n  d:\n    e: [1]\n  {{- end }}\nc: 2\n", "",
		},
		"an item": {
			"a:\n- b\n", "a:\n- b\n- c\n- d\n",
			"a:\n- b\n{{- if .Values.x }}\n- c\n- d\n{{- end }}\n", "",
		},
		"an item of a short sequence":  {"a: [b]\n", "a: [b, c]\n", "a:\n- b\n{{- if .Values.x }}\n- c\n{{- end }}\n", ""},
		"within an item":               {"a:\n- b: 1\n", "a:\n- b: 2\n", "a:\n- b: {{ if .Values.x }}2{{ else }}1{{ end }}\n", ""},
		"a quoted scalar":              {"a: \"true\"\n", "a: 'false'\n", "a: \"{{ if .Values.x }}false{{ else }}true{{ end }}\"\n", ""},
		"a key taken away":             {"a: 1\nb: 2\n", "a: 1\n", "", "b: a component takes it away"},
		"an item taken away":           {"a: [1, 2]\n", "a: [1]\n", "", "a: a component takes 1 items away"},
		"a scalar that becomes a list": {"a: x\n", "a: [x]\n", "", `"x" becomes something of another kind`},
	} {
		t.Run(name, func(t *testing.T) {
			m, base := newMarks(), yaml.MustParse(tc.base)
			err := m.merge(base.YNode(), yaml.MustParse(tc.variant).YNode(), ".Values.x")
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Fatalf("got %v, want %s", err, tc.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.fill(base.MustString())
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("%v, -want +got\n%s", err, diff)
			}
		})
	}
}

// Two components do not know of each other: what both add to is whole, what both
// change is refused.
func TestMergeTwice(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second, want, problem string
	}{
		"items":          {"a: [x, 1]\nb: y\n", "a: [x, 2]\nb: y\n", "a:\n- x\n{{- if .one }}\n- 1\n{{- end }}\n{{- if .two }}\n- 2\n{{- end }}\nb: y\n", ""},
		"one scalar":     {"a: [x]\nb: z\n", "a: [x]\nb: y\n", "a: [x]\nb: {{ if .one }}z{{ else }}y{{ end }}\n", ""},
		"both a scalar":  {"a: [x]\nb: z\n", "a: [x]\nb: w\n", "", `b: "w": two components change it`},
		"both a new key": {"a: [x]\nb: y\nc: 1\n", "a: [x]\nb: y\nc: 1\n", "", "c: two components add it"},
	} {
		t.Run(name, func(t *testing.T) {
			m, base := newMarks(), yaml.MustParse("a: [x]\nb: y\n")
			if err := m.merge(base.YNode(), yaml.MustParse(tc.first).YNode(), ".one"); err != nil {
				t.Fatal(err)
			}
			err := m.merge(base.YNode(), yaml.MustParse(tc.second).YNode(), ".two")
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Fatalf("got %v, want %s", err, tc.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.fill(base.MustString())
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("%v, -want +got\n%s", err, diff)
			}
		})
	}
}

func TestParseImage(t *testing.T) {
	for reference, want := range map[string]image{
		"job-handler:dev":                {"job-handler", "dev", ""},
		"localhost:5000/job-handler:v1":  {"localhost:5000/job-handler", "v1", ""},
		"localhost:5000/a/b@sha256:1":    {"localhost:5000/a/b", "", "sha256:1"},
		"example.com/a:v1@sha256:1":      {"example.com/a", "v1", "sha256:1"},
		"example.com/job-handler":        {},
		"localhost:5000/job-handler":     {},
		"":                               {},
		":v1":                            {},
		"@sha256:0123456789abcdef012345": {},
	} {
		got, err := parseImage(reference)
		if got != want || (err == nil) != (want.repository != "") {
			t.Errorf("%q is %+v, %v", reference, got, err)
		}
	}
}

// An action in a base is text in the chart; the namespace is the release's.
func TestTemplate(t *testing.T) {
	c := &chart{marks: newMarks()}
	o := object{node: yaml.MustParse(`
kind: X
metadata:
  namespace: job-handler-system
spec:
  a: "{{ not an action }}"
  b: the account job-handler-system/job-handler
  c:
  - job-handler-system
`).YNode()}
	got, err := c.template(o)
	want := `---
kind: X
metadata:
  namespace: {{ .Release.Namespace | quote }}
spec:
  a: "{{ "{{" }} not an action }}"
  b: the account {{ .Release.Namespace }}/job-handler
  c:
  - {{ .Release.Namespace | quote }}
`
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
}

func TestUnknownComponent(t *testing.T) {
	b := realBases(t)
	b.components = append(b.components, "of-tomorrow")
	_, err := newChart(b, "", "v1.2.3")
	if err == nil || !strings.Contains(err.Error(), "component of-tomorrow: no value turns it on") {
		t.Errorf("got %v", err)
	}
}

// Every value is in the schema, described, and used by a template; the schema
// knows no other one.
func TestValues(t *testing.T) {
	files := realFiles(t)
	var presets, schema map[string]any
	if err := k8syaml.Unmarshal([]byte(files["values.yaml"]), &presets); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(files["values.schema.json"]), &schema); err != nil {
		t.Fatal(err)
	}
	properties, _ := schema["properties"].(map[string]any)
	delete(properties, "global")
	var templates strings.Builder
	for name, text := range files {
		if strings.HasPrefix(name, "templates/") {
			templates.WriteString(text)
		}
	}
	checkValues(t, "", presets, schema, templates.String())
}

func checkValues(t *testing.T, prefix string, presets, schema map[string]any, templates string) {
	t.Helper()
	properties, _ := schema["properties"].(map[string]any)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(presets)), slices.Sorted(maps.Keys(properties))); diff != "" {
		t.Errorf("%s: -values +schema\n%s", prefix, diff)
	}
	if schema["additionalProperties"] != false {
		t.Errorf("%s: the schema lets pass what it does not know", prefix)
	}
	for name, preset := range presets {
		described, _ := properties[name].(map[string]any)
		if text, _ := described["description"].(string); text == "" {
			t.Errorf("%s%s has no description", prefix, name)
		}
		inner, isMapping := preset.(map[string]any)
		if _, fixed := described["properties"]; isMapping && fixed && len(inner) > 0 {
			checkValues(t, prefix+name+".", inner, described, templates)
		} else if !strings.Contains(templates, ".Values."+prefix+name) {
			t.Errorf("%s%s is used nowhere", prefix, name)
		}
	}
}

// The flags are those of the manager, but for the chart's own.
func TestFlags(t *testing.T) {
	var schema struct {
		Properties struct {
			Flags struct {
				Properties map[string]struct{ Type any }
			}
		}
	}
	if err := json.Unmarshal([]byte(realFiles(t)["values.schema.json"]), &schema); err != nil {
		t.Fatal(err)
	}
	flags := schema.Properties.Flags.Properties
	for name, want := range map[string]any{
		"workers": "integer", "v": "integer", "redact-builtin": "boolean",
		"results-ttl": []any{"string", "integer"}, "log-memory": []any{"string", "integer"}, "log-deadline": []any{"string", "integer"},
		"redact": []any{"string", "array"}, "exclude-namespaces": []any{"string", "array"},
	} {
		if diff := cmp.Diff(want, flags[name].Type); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	for _, name := range []string{"leader-elect", "webhook-certificate", "metrics-bind-address", "namespace", "kubeconfig"} {
		if _, there := flags[name]; there {
			t.Errorf("%s is the chart's own", name)
		}
	}
}

// A released chart installs the released image.
func TestReleased(t *testing.T) {
	c, err := newChart(realBases(t), "ghcr.io/x/job-handler:v1.2.3@sha256:1", "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	files, err := c.files()
	if err != nil {
		t.Fatal(err)
	}
	for name, wants := range map[string][]string{
		"Chart.yaml":  {"\nversion: 1.2.3\n", "\nappVersion: \"v1.2.3\"\n"},
		"values.yaml": {"\n  repository: ghcr.io/x/job-handler\n", "\n  digest: sha256:1\n"},
	} {
		for _, want := range wants {
			if !strings.Contains(files[name], want) {
				t.Errorf("%s lacks %q:\n%s", name, want, files[name])
			}
		}
	}
}
