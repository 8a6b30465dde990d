package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// journal is a file with the outcomes so far, one a line, for the next run.
type journal struct {
	file  *os.File
	known map[string]outcome
}

type entry struct {
	Mutant  string  `json:"mutant"`
	Outcome outcome `json:"outcome"`
}

func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the outcomes so far: %w", err)
	}
	j := &journal{file: file, known: map[string]outcome{}}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line entry
		// A run that was killed leaves half a line.
		if json.Unmarshal(lines.Bytes(), &line) == nil {
			j.known[line.Mutant] = line.Outcome
		}
	}
	return j, nil
}

// recall gives a mutant its outcome of an earlier run, if it has one.
func (j *journal) recall(m *mutant) bool {
	was, ok := j.known[m.key()]
	if ok {
		m.outcome = was
	}
	return ok
}

func (j *journal) note(m *mutant) error {
	line, err := json.Marshal(entry{Mutant: m.key(), Outcome: m.outcome})
	if err == nil {
		// The newline first: half a line stays by itself.
		_, err = fmt.Fprintf(j.file, "\n%s", line)
	}
	if err != nil {
		return fmt.Errorf("writing down an outcome: %w", err)
	}
	return nil
}

func (j *journal) close() { j.file.Close() }
