// Package coverprofile reads the coverage profiles that `go test -coverprofile`
// writes. It imports nothing of Job Handler. The library for it,
// golang.org/x/tools/cover, would be one more requirement of the module for one
// regular expression.
package coverprofile

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Block is a run of statements that are executed together.
type Block struct {
	// File is the import path of the package and the file's name.
	File string
	// Start and End are where it begins, and where it has ended.
	Start, End Position
	// Count is how often it was executed; 1 or more in mode "set".
	Count int
}

// Position is a place in a file. Both count from 1; the column counts bytes.
type Position struct {
	Line, Column int
}

// Before reports whether p is before other.
func (p Position) Before(other Position) bool {
	return p.Line < other.Line || p.Line == other.Line && p.Column < other.Column
}

// Contains reports whether the position is in the block.
func (b Block) Contains(p Position) bool {
	return !p.Before(b.Start) && p.Before(b.End)
}

// line is such as "example.org/module/pkg/file.go:12.34,15.2 3 1".
var line = regexp.MustCompile(`^(.+):(\d+)\.(\d+),(\d+)\.(\d+) (\d+) (\d+)$`)

// Read returns the blocks of a profile, in its order. A block may be there more
// than once: each test program of `go test -coverpkg` writes all of them.
func Read(profile io.Reader) ([]Block, error) {
	var blocks []Block
	lines := bufio.NewScanner(profile)
	for lines.Scan() {
		text := lines.Text()
		if text == "" || strings.HasPrefix(text, "mode: ") {
			continue
		}
		fields := line.FindStringSubmatch(text)
		if fields == nil {
			return nil, fmt.Errorf("a line of the coverage profile is not understood: %q", text)
		}
		numbers := make([]int, 0, 6)
		for _, field := range fields[2:] {
			number, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("a line of the coverage profile is not understood: %q: %w", text, err)
			}
			numbers = append(numbers, number)
		}
		blocks = append(blocks, Block{
			File:  fields[1],
			Start: Position{Line: numbers[0], Column: numbers[1]},
			End:   Position{Line: numbers[2], Column: numbers[3]},
			Count: numbers[5],
		})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the coverage profile: %w", err)
	}
	return blocks, nil
}
