package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"

	"github.com/job-handler/job-handler/internal/tools/coverprofile"
)

// mutant is one change of one file: the bytes from Start to End become New.
type mutant struct {
	File       string
	Line       int
	Start, End int
	New        string
	// What says the change in words.
	What string
	// anchor is where the statement begins in which the change is: coverage is
	// known for statements only.
	anchor  coverprofile.Position
	outcome outcome
}

// finder lists the mutants of one file.
type finder struct {
	name    string
	src     []byte
	files   *token.FileSet
	stack   []ast.Node
	mutants []*mutant
	// judged are boolean expressions that other mutants replace by true, false or
	// their opposite already.
	judged map[ast.Expr]bool
}

// mutantsOf returns the mutants of a file, in the order of its text: none in
// generated files and none outside functions, as coverage is not known there.
func mutantsOf(name string, src []byte) ([]*mutant, error) {
	f := &finder{name: name, src: src, files: token.NewFileSet(), judged: map[ast.Expr]bool{}}
	file, err := parser.ParseFile(f.files, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parsing: %w", err)
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	ast.PreorderStack(file, nil, func(node ast.Node, stack []ast.Node) bool {
		f.stack = append(slices.Clone(stack), node)
		f.visit(node)
		return true
	})
	return f.mutants, nil
}

func (f *finder) visit(node ast.Node) {
	switch node := node.(type) {
	case *ast.IfStmt:
		f.condition(node.Cond)
	case *ast.ForStmt:
		if node.Cond != nil {
			f.judged[ast.Unparen(node.Cond)] = true
			f.replace(node.Cond, "false && ("+f.text(node.Cond)+")", "the loop is never entered")
		}
	case *ast.CaseClause:
		if parent, ok := f.ancestor(2).(*ast.SwitchStmt); ok && parent.Tag == nil {
			for _, cond := range node.List {
				f.condition(cond)
			}
		}
	case *ast.BinaryExpr:
		f.binary(node)
	case *ast.ReturnStmt:
		f.returned(node)
	case *ast.CompositeLit:
		f.fields(node)
	case *ast.ExprStmt, *ast.AssignStmt, *ast.IncDecStmt, *ast.BranchStmt, *ast.SendStmt, *ast.DeferStmt:
		f.statement(node)
	}
}

// condition replaces what is asked by true and by false. What the operands of
// && and || show already is left out.
func (f *finder) condition(cond ast.Expr) {
	cond = ast.Unparen(cond)
	f.judged[cond] = true
	op := token.ILLEGAL
	if binary, ok := cond.(*ast.BinaryExpr); ok {
		op = binary.Op
	}
	if op != token.LAND {
		f.replace(cond, "true || ("+f.text(cond)+")", "the condition is always true")
	}
	if op != token.LOR {
		f.replace(cond, "false && ("+f.text(cond)+")", "the condition is never true")
	}
}

// boundaries and swaps are what becomes of comparisons and of arithmetic.
var (
	boundaries = map[token.Token]token.Token{
		token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	}
	opposites = map[token.Token]token.Token{
		token.EQL: token.NEQ, token.NEQ: token.EQL,
		token.LSS: token.GEQ, token.GEQ: token.LSS, token.GTR: token.LEQ, token.LEQ: token.GTR,
	}
	swaps = map[token.Token]token.Token{
		token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
		token.REM: token.MUL, token.AND: token.OR, token.OR: token.AND, token.SHL: token.SHR, token.SHR: token.SHL,
	}
)

func (f *finder) binary(node *ast.BinaryExpr) {
	if node.Op == token.LAND || node.Op == token.LOR {
		f.operand(node.X, node.Op)
		f.operand(node.Y, node.Op)
		return
	}
	if to, ok := boundaries[node.Op]; ok {
		f.operator(node, to, "boundary moved")
	}
	if to, ok := opposites[node.Op]; ok && !f.judged[node] {
		f.operator(node, to, "comparison reversed")
	}
	if to, ok := swaps[node.Op]; ok && !hasText(node) {
		f.operator(node, to, "arithmetic changed")
	}
}

// operand lets one side of && or || decide nothing. A side that is the same
// operator again is left to its own sides.
func (f *finder) operand(side ast.Expr, op token.Token) {
	side = ast.Unparen(side)
	f.judged[side] = true
	if binary, ok := side.(*ast.BinaryExpr); ok && binary.Op == op {
		return
	}
	if op == token.LAND {
		f.replace(side, "(true || "+f.text(side)+")", "one side of && left out")
	} else {
		f.replace(side, "(false && ("+f.text(side)+"))", "one side of || left out")
	}
}

// hasText reports whether a sum has a literal text, so that it joins texts.
func hasText(expr ast.Expr) bool {
	found := false
	ast.Inspect(expr, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			found = true
		}
		_, call := node.(*ast.CallExpr)
		return !call
	})
	return found
}

// returned replaces each returned value by another: booleans by their opposite,
// 0 by 1, all else by the zero value of its type.
func (f *finder) returned(node *ast.ReturnStmt) {
	types := f.resultTypes()
	if len(types) != len(node.Results) {
		return
	}
	for i, value := range node.Results {
		kind, text := f.text(types[i]), f.text(value)
		switch {
		case kind == "bool":
			f.judged[ast.Unparen(value)] = true
			f.replace(value, "!("+text+")", "the opposite returned")
		case text == "0":
			f.replace(value, "1", "1 returned")
		case !isZero(value):
			// The value is evaluated still: what it uses would be unused otherwise.
			f.replace(value, "[]"+kind+"{"+text+", *new("+kind+")}[1]", "the zero value returned")
		}
	}
}

// resultTypes returns the types of the results of the innermost function, one
// for each value.
func (f *finder) resultTypes() []ast.Expr {
	var function *ast.FuncType
	for i := len(f.stack) - 1; i >= 0 && function == nil; i-- {
		switch node := f.stack[i].(type) {
		case *ast.FuncDecl:
			function = node.Type
		case *ast.FuncLit:
			function = node.Type
		}
	}
	if function == nil || function.Results == nil {
		return nil
	}
	var types []ast.Expr
	for _, field := range function.Results.List {
		for range max(1, len(field.Names)) {
			types = append(types, field.Type)
		}
	}
	return types
}

func isZero(value ast.Expr) bool {
	switch value := value.(type) {
	case *ast.Ident:
		return value.Name == "nil" || value.Name == "false"
	case *ast.BasicLit:
		return value.Value == "0" || value.Value == `""`
	case *ast.CompositeLit:
		return len(value.Elts) == 0
	}
	return false
}

// fields leaves out the fields of a literal, one at a time.
func (f *finder) fields(literal *ast.CompositeLit) {
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if _, named := pair.Key.(*ast.Ident); !named || isZero(pair.Value) {
			continue
		}
		start, end := f.offset(pair.Pos()), f.offset(pair.End())
		if comma := bytes.IndexByte(f.src[end:f.offset(literal.Rbrace)], ','); comma >= 0 {
			end += comma + 1
		}
		f.add(start, end, "", "a field left out")
	}
}

// statement keeps a statement from being executed. It stays, so that what it
// uses is used.
func (f *finder) statement(node ast.Node) {
	switch node := node.(type) {
	case *ast.AssignStmt:
		if node.Tok == token.DEFINE || f.text(node.Lhs[0]) == "_" {
			return
		}
	case *ast.BranchStmt:
		if node.Tok != token.BREAK && node.Tok != token.CONTINUE {
			return
		}
	}
	if inList(node, f.ancestor(1)) {
		f.replace(node, "if false { "+f.text(node)+" }", "a statement left out")
	}
}

// inList reports whether a statement is one of those of a block, not a part of
// another one's head.
func inList(node, parent ast.Node) bool {
	switch parent := parent.(type) {
	case *ast.BlockStmt, *ast.CaseClause:
		return true
	case *ast.CommClause:
		return parent.Comm != node
	}
	return false
}

// ancestor returns the node that many levels above the one that is visited.
func (f *finder) ancestor(levels int) ast.Node {
	if i := len(f.stack) - 1 - levels; i >= 0 {
		return f.stack[i]
	}
	return nil
}

func (f *finder) offset(pos token.Pos) int { return f.files.PositionFor(pos, false).Offset }

func (f *finder) text(node ast.Node) string {
	return string(f.src[f.offset(node.Pos()):f.offset(node.End())])
}

func (f *finder) replace(node ast.Node, text, what string) {
	f.add(f.offset(node.Pos()), f.offset(node.End()), text, what)
}

func (f *finder) operator(node *ast.BinaryExpr, to token.Token, what string) {
	start := f.offset(node.OpPos)
	f.add(start, start+len(node.Op.String()), to.String(), what)
}

// add notes a mutant at the node that is visited.
func (f *finder) add(start, end int, text, what string) {
	statement := f.innermost()
	if statement == nil {
		return
	}
	at := f.files.PositionFor(statement.Pos(), false)
	f.mutants = append(f.mutants, &mutant{
		File: f.name, Line: 1 + bytes.Count(f.src[:start], []byte("\n")), Start: start, End: end,
		New: text, What: what, anchor: coverprofile.Position{Line: at.Line, Column: at.Column},
	})
}

// innermost returns the statement that coverage counts for what is visited, nil
// outside functions: the nearest one of a block, or the if of an else.
func (f *finder) innermost() ast.Node {
	for i := len(f.stack) - 1; i > 0; i-- {
		node, parent := f.stack[i], f.stack[i-1]
		switch node.(type) {
		case *ast.CaseClause, *ast.CommClause:
			continue
		case *ast.IfStmt:
			if _, isElse := parent.(*ast.IfStmt); isElse {
				return node
			}
		}
		if inList(node, parent) {
			return node
		}
	}
	return nil
}

// apply returns the file with the change.
func (m *mutant) apply(src []byte) []byte {
	return slices.Concat(src[:m.Start], []byte(m.New), src[m.End:])
}
