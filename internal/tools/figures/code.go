package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// file is what is counted of one Go file.
type file struct {
	// folder is where it is, and what the package is known by.
	folder string
	test   bool
	// lines are all lines; code are those that are not blank or comments.
	lines, code int
	nolint      int
	imports     []string
	// functions are the lengths of functions, in lines.
	functions []int
	// methods counts methods by type.
	methods map[string]int
}

// code is what is counted of a tree: its files by path, without generated ones, and
// its modules by folder.
type code struct {
	files   map[string]file
	modules map[string]module
}

// module is what is counted of a go.mod.
type module struct {
	path   string
	direct int
}

// read counts what is in a tree.
func read(sources tree) (code, error) {
	c := code{files: map[string]file{}, modules: map[string]module{}}
	for name, content := range sources {
		if path.Base(name) == "go.mod" {
			c.modules[path.Dir(name)] = moduleOf(string(content))
			continue
		}
		counted, generated, err := fileOf(name, content)
		if err != nil {
			return c, err
		}
		if !generated {
			c.files[name] = counted
		}
	}
	return c, nil
}

// moduleOf reads the path and counts the direct requirements of a go.mod.
func moduleOf(text string) module {
	var m module
	block := ""
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "//"):
		case words[0] == ")":
			block = ""
		case len(words) == 2 && words[1] == "(":
			block = words[0]
		case words[0] == "module":
			m.path = words[1]
		case (words[0] == "require" || block == "require") && !strings.Contains(line, "// indirect"):
			m.direct++
		}
	}
	return m
}

func fileOf(name string, content []byte) (counted file, generated bool, err error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return counted, false, fmt.Errorf("parsing: %w", err)
	}
	counted = file{
		folder: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(content, []byte("\n")), code: codeLines(content), methods: map[string]int{},
	}
	for _, spec := range parsed.Imports {
		if imported, err := strconv.Unquote(spec.Path.Value); err == nil {
			counted.imports = append(counted.imports, imported)
		}
	}
	for _, group := range parsed.Comments {
		for _, comment := range group.List {
			if strings.HasPrefix(comment.Text, "//nolint") {
				counted.nolint++
			}
		}
	}
	for _, declaration := range parsed.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		first, last := files.Position(function.Pos()).Line, files.Position(function.End()).Line
		counted.functions = append(counted.functions, last-first+1)
		if function.Recv != nil {
			counted.methods[receiver(function.Recv.List[0].Type)]++
		}
	}
	return counted, ast.IsGenerated(parsed), nil
}

// receiver returns the name of the type that a method is of.
func receiver(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.StarExpr:
		return receiver(expr.X)
	case *ast.ParenExpr:
		return receiver(expr.X)
	case *ast.IndexExpr:
		return receiver(expr.X)
	case *ast.IndexListExpr:
		return receiver(expr.X)
	case *ast.Ident:
		return expr.Name
	}
	return "?"
}

// codeLines counts the lines that have more than white space and comments.
func codeLines(content []byte) int {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(content))
	var tokens scanner.Scanner
	tokens.Init(file, content, nil, 0)
	lines := map[int]bool{}
	for {
		pos, kind, text := tokens.Scan()
		if kind == token.EOF {
			return len(lines)
		}
		if kind == token.SEMICOLON && text == "\n" {
			continue
		}
		first := file.Line(pos)
		for i := range strings.Count(text, "\n") + 1 {
			lines[first+i] = true
		}
	}
}

// folderOf returns the folder of an imported package, false for one that is not of
// this tree. The innermost module counts.
func (c code) folderOf(imported string) (string, bool) {
	best, found := "", false
	longest := -1
	for folder, module := range c.modules {
		below, ok := strings.CutPrefix(imported+"/", module.path+"/")
		if ok && len(module.path) > longest {
			best, found, longest = path.Join(folder, below), true, len(module.path)
		}
	}
	return best, found
}

// linked returns the folders of what the packages in some folders import, with
// themselves, and of packages called api.
func (c code) linked(roots []string) map[string]bool {
	imports := map[string][]string{}
	for _, file := range c.files {
		if !file.test {
			imports[file.folder] = append(imports[file.folder], file.imports...)
		}
	}
	reached := map[string]bool{}
	waiting := slices.Clone(roots)
	for folder := range maps.Keys(imports) {
		if path.Base(folder) == "api" || strings.HasPrefix(folder, "api/") {
			waiting = append(waiting, folder)
		}
	}
	for len(waiting) > 0 {
		folder := waiting[0]
		waiting = waiting[1:]
		if _, ok := imports[folder]; !ok || reached[folder] {
			continue
		}
		reached[folder] = true
		for _, imported := range imports[folder] {
			if next, ok := c.folderOf(imported); ok {
				waiting = append(waiting, next)
			}
		}
	}
	return reached
}
