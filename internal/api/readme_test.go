package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Every key that people meet is in README.md, where they look first.
func TestReadmeNamesEveryKey(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range declaredKeys(t) {
		if !strings.Contains(string(readme), "`"+key) {
			t.Errorf("README.md lacks `%s` (%s)", key, name)
		}
	}
}

// declaredKeys returns the labels, annotations and data keys of keys.go by the
// names of their constants.
func declaredKeys(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "keys.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name := spec.Names[0].Name
		isKey := strings.HasSuffix(name, "Label") || strings.HasSuffix(name, "Annotation") || strings.HasPrefix(name, "Data")
		if isKey {
			keys[name] = literal(t, spec.Values[0])
		}
		return true
	})
	if len(keys) < 20 {
		t.Fatalf("found %d keys only: %v", len(keys), keys)
	}
	return keys
}

// literal evaluates a string literal, with Prefix in front or not.
func literal(t *testing.T, expression ast.Expr) string {
	t.Helper()
	if sum, ok := expression.(*ast.BinaryExpr); ok {
		return "job-handler/" + literal(t, sum.Y)
	}
	value, err := strconv.Unquote(expression.(*ast.BasicLit).Value)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
