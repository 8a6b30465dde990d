package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/job-handler/job-handler/internal/api"
)

// keyGroup is a group of constants that people meet as keys or values.
type keyGroup struct {
	Title string
	Keys  []keyRow
}

// keyRow is one of them.
type keyRow struct{ Key, Kind, Description string }

// The groups whose constants are described by documents of their own, or are
// values that the descriptions of keys name.
var elsewhere = regexp.MustCompile(`^(Values of|Keys of the data)`)

// keyGroups returns the groups of constants declared in a file, in their order.
func keyGroups(file string) ([]keyGroup, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	values := map[string]string{"Prefix": api.Prefix, "True": api.True, "False": api.False}
	var groups []keyGroup
	for _, declaration := range parsed.Decls {
		block, isBlock := declaration.(*ast.GenDecl)
		if !isBlock || block.Tok != token.CONST {
			continue
		}
		group, err := groupOf(block, values)
		if err != nil {
			return nil, err
		}
		if len(group.Keys) > 0 && !elsewhere.MatchString(group.Title) {
			groups = append(groups, group)
		}
	}
	for i := range groups {
		for j := range groups[i].Keys {
			groups[i].Keys[j].Description = explained(groups[i].Keys[j].Description, values)
		}
	}
	return groups, nil
}

// groupOf returns the keys of a block of constants, with their comments as they
// are, and notes the values of all.
func groupOf(block *ast.GenDecl, values map[string]string) (keyGroup, error) {
	title, _, _ := strings.Cut(strings.Join(strings.Fields(block.Doc.Text()), " "), ". ")
	group := keyGroup{Title: strings.TrimSuffix(title, ".")}
	for _, spec := range block.Specs {
		constant, isValue := spec.(*ast.ValueSpec)
		if !isValue {
			continue
		}
		name := constant.Names[0].Name
		value, err := valueOf(constant.Values[0], values)
		if err != nil {
			return group, fmt.Errorf("the value of %s: %w", name, err)
		}
		values[name] = value
		if kind := kindOf(name); kind != "" && block.Lparen.IsValid() {
			group.Keys = append(group.Keys, keyRow{Key: value, Kind: kind, Description: constant.Doc.Text()})
		}
	}
	return group, nil
}

// kindOf returns what a constant is a key of, by its name; "" if of nothing that
// is on an object.
func kindOf(name string) string {
	for _, kind := range []string{"Label", "Annotation", "Finalizer"} {
		if strings.HasSuffix(name, kind) {
			return strings.ToLower(kind)
		}
	}
	return ""
}

// valueOf returns the value of an expression of strings and of constants before
// it; what is no string has none.
func valueOf(expression ast.Expr, values map[string]string) (string, error) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", nil
		}
		value, err := strconv.Unquote(e.Value)
		if err != nil {
			return "", fmt.Errorf("unquoting: %w", err)
		}
		return value, nil
	case *ast.Ident:
		return values[e.Name], nil
	case *ast.BinaryExpr:
		left, err := valueOf(e.X, values)
		if err != nil || e.Op != token.ADD {
			return "", err
		}
		right, err := valueOf(e.Y, values)
		return left + right, err
	default:
		return "", fmt.Errorf("cannot be told from %T", expression)
	}
}

// explained returns the comment of a constant for a table: without the name that
// it starts with, and with values for the names of others.
func explained(comment string, values map[string]string) string {
	_, text, _ := strings.Cut(cell(comment), " ")
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	// The longer ones first, of which others may be the start.
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	known := regexp.MustCompile(`\b(` + strings.Join(names, "|") + `)\b`)
	text = known.ReplaceAllStringFunc(text, func(name string) string {
		if values[name] == "" {
			return name
		}
		return "`" + strings.TrimSpace(values[name]) + "`"
	})
	return strings.ToUpper(text[:1]) + text[1:]
}
