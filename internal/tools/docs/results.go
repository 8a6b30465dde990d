package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"github.com/invopop/jsonschema"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logpack"
)

const (
	resultsFile = "results.md"
	// maxExample is more than the logs of the example have, in bytes.
	maxExample = 1 << 20
)

//go:embed results.md.tmpl
var resultsTemplate string

// resultsContent is what the template is given.
type resultsContent struct {
	// Data, Labels and Annotations are those of the example, Binary the size of
	// its logs.gz in bytes, and Exact what that holds.
	Data, Labels, Annotations map[string]string
	Binary                    int
	Exact                     string
	Objects                   []object
	LogReasons, OwnReasons    []reason
}

// object is a kind of object in job.json.
type object struct {
	// Path is where the first one is, "" for the whole.
	Path, Description string
	Fields            []field
}

type field struct{ Name, Type, Always, Description string }

// reason is a constant with the sentences that declare it.
type reason struct{ Name, Description string }

func resultsPage() ([]byte, error) {
	schema, err := jobSchema()
	if err != nil {
		return nil, err
	}
	content, err := readExample()
	if err != nil {
		return nil, err
	}
	archive := content.BinaryData[api.DataLogsGzip]
	exact, err := logpack.Unpack(bytes.NewReader(archive), maxExample)
	if err != nil {
		return nil, fmt.Errorf("reading the example's logs: %w", err)
	}
	p := resultsContent{
		Data: content.Data, Labels: content.Labels, Annotations: content.Annotations,
		Binary: len(archive), Exact: string(exact), Objects: objects(schema),
	}
	if p.LogReasons, err = reasons("run.go", "Reason"); err != nil {
		return nil, err
	}
	if p.OwnReasons, err = reasons("own.go", "Own"); err != nil {
		return nil, err
	}
	return fill(resultsTemplate, template.FuncMap{"quote": strconv.Quote, "first": firstLine}, p)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// objects lists the kinds of objects in the order in which they are met.
func objects(schema *jsonschema.Schema) []object {
	w := walker{definitions: schema.Definitions, seen: map[string]bool{}}
	w.walk("Record", "")
	return w.list
}

type walker struct {
	definitions jsonschema.Definitions
	seen        map[string]bool
	list        []object
}

func (w *walker) walk(definition, path string) {
	if w.seen[definition] {
		return
	}
	w.seen[definition] = true
	schema := w.definitions[definition]
	o := object{Path: path, Description: schema.Description}
	type child struct{ definition, path string }
	var children []child
	for pair := schema.Properties.Oldest(); pair != nil; pair = pair.Next() {
		kind, of := typeOf(pair.Value)
		always := ""
		for _, required := range schema.Required {
			if required == pair.Key {
				always = "yes"
			}
		}
		o.Fields = append(o.Fields, field{pair.Key, kind, always, pair.Value.Description})
		if of != "" {
			suffix := ""
			if pair.Value.Type == "array" {
				suffix = "[]"
			}
			children = append(children, child{of, strings.TrimPrefix(path+"."+pair.Key+suffix, ".")})
		}
	}
	w.list = append(w.list, o)
	for _, c := range children {
		w.walk(c.definition, c.path)
	}
}

// typeOf returns the type of a value in words, and the definition of the
// objects that it is or has.
func typeOf(schema *jsonschema.Schema) (kind, definition string) {
	const definitions = "#/$defs/"
	switch {
	case schema.Ref != "":
		definition = strings.TrimPrefix(schema.Ref, definitions)
		return "object", definition
	case schema.Type == "array" && schema.Items.Ref != "":
		return "list of objects", strings.TrimPrefix(schema.Items.Ref, definitions)
	case schema.Type == "array":
		return "list of " + schema.Items.Type + "s", ""
	case schema.Type == "object":
		return "map of " + schema.AdditionalProperties.Type + "s", ""
	case schema.Format == "date-time":
		return "time", ""
	case len(schema.Enum) > 0:
		var values []string
		for _, value := range schema.Enum {
			values = append(values, fmt.Sprintf("`%v`", value))
		}
		return strings.Join(values, ", "), ""
	default:
		return schema.Type, ""
	}
}

// reasons returns the constants of a file whose name starts with prefix.
func reasons(file, prefix string) ([]reason, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(sources, file), nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("reading the reasons: %w", err)
	}
	var list []reason
	ast.Inspect(parsed, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || spec.Doc == nil {
			return true
		}
		literal, isLiteral := spec.Values[0].(*ast.BasicLit)
		if !isLiteral {
			return true
		}
		_, text, _ := strings.Cut(oneLine(spec.Doc.Text()), ": ")
		list = append(list, reason{strings.Trim(literal.Value, `"`), strings.ToUpper(text[:1]) + text[1:]})
		return true
	})
	return list, nil
}
