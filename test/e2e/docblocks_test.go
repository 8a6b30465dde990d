package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docBlock is a block of commands in a document.
type docBlock struct {
	doc  string
	line int
	// console is true if it shows what commands print.
	console bool
	// text has no prompt in front of its first command.
	text string
}

// String implements fmt.Stringer.
func (b *docBlock) String() string { return fmt.Sprintf("%s:%d", b.doc, b.line) }

// find returns the block of the step, or all blocks of its document.
func (s step) find(all []*docBlock) []*docBlock {
	var found []*docBlock
	for _, b := range all {
		if b.doc == s.doc && strings.HasPrefix(b.text, s.begins) {
			found = append(found, b)
		}
	}
	if s.begins != "" && len(found) > 1 {
		return found[:1]
	}
	return found
}

// commands returns its lines as a shell takes them.
func (b *docBlock) commands() []string {
	if !b.console {
		return strings.Split(b.text, "\n")
	}
	var commands []string
	for part := range strings.SplitSeq(strings.TrimSuffix(b.text, "\n"), "\n$ ") {
		command, printed, shows := strings.Cut(part, "\n")
		if shows {
			command = fmt.Sprintf("shown %s %s", quoted(command), quoted(patternOf(printed)))
		}
		commands = append(commands, command)
	}
	return commands
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// differing is what differs from run to run in what is printed: the ends of pods'
// names, nodes, times, sizes and the room between columns.
var differing = regexp.MustCompile(`\\?-[a-z0-9]{5}\b|node node\\?-1|[0-9]+s ago|[0-9]+s\b|[0-9]+B\b| {2,}`)

// patternOf returns a pattern of what is printed, in one line.
func patternOf(printed string) string {
	pattern := differing.ReplaceAllStringFunc(regexp.QuoteMeta(printed), func(part string) string {
		switch {
		case strings.HasPrefix(part, "node"):
			return `node \S+`
		case strings.HasPrefix(part, " "):
			return ` +`
		case strings.HasSuffix(part, "ago"):
			return `\S+ ago`
		case strings.HasSuffix(part, "s"), strings.HasSuffix(part, "B"):
			return `[0-9.]+\w+`
		default:
			return `-[a-z0-9]{5}`
		}
	})
	return strings.ReplaceAll(pattern, "\n", `\n`)
}

// documents returns what people read, by its path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	read := func(path string) {
		text, err := os.ReadFile(filepath.Join(moduleRoot, path))
		if err != nil {
			t.Fatal(err)
		}
		found[path] = string(text)
	}
	read(readme)
	read("config/chart/job-handler/README.md")
	err := fs.WalkDir(os.DirFS(moduleRoot), "docs", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".md" {
			read(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// blocksOf returns all blocks of commands, document by document.
func blocksOf(t *testing.T) []*docBlock {
	t.Helper()
	texts := documents(t)
	var all []*docBlock
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		all = append(all, blocksIn(name, []byte(texts[name]))...)
	}
	return all
}

// sectionOf returns what a document has below a heading, up to the next one.
func sectionOf(t *testing.T, doc, name string) string {
	t.Helper()
	text := documents(t)[doc]
	all := heading.FindAllStringSubmatchIndex(text, -1)
	for i, found := range all {
		if text[found[2]:found[3]] != name {
			continue
		}
		end := len(text)
		if i+1 < len(all) {
			end = all[i+1][0]
		}
		return text[found[1]:end]
	}
	t.Fatalf("%s has no heading %s", doc, name)
	return ""
}

func blocksIn(name string, text []byte) []*docBlock {
	var all []*docBlock
	var current *docBlock
	for i, line := range bytes.Split(text, []byte("\n")) {
		fence, isFence := bytes.CutPrefix(line, []byte("```"))
		switch {
		case isFence && current != nil:
			if current.console {
				current.text = strings.TrimPrefix(current.text, "$ ")
			}
			if current.line > 0 {
				all = append(all, current)
			}
			current = nil
		case isFence:
			current = &docBlock{doc: name, console: string(fence) == "console"}
			if current.console || string(fence) == "sh" {
				current.line = i + 2
			}
		case current != nil:
			current.text += string(line) + "\n"
		}
	}
	return all
}
