package main

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// Programs get JSON and YAML to the byte; a terminal gets neither 8-bit control
// characters nor text in another direction, which both leave as they are.
func TestOutputSteersNoTerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to be had here: %v", err)
	}
	defer func() { _ = terminal.Close() }()
	for name, test := range map[string]struct {
		format string
		out    io.Writer
		exact  bool
	}{
		"JSON for a program":   {"json", &bytes.Buffer{}, true},
		"YAML for a program":   {"yaml", &bytes.Buffer{}, true},
		"JSON on a terminal":   {"json", terminal, false},
		"YAML on a terminal":   {"yaml", terminal, false},
		"KYAML on a terminal":  {"kyaml", terminal, false},
		"jsonpath":             {"jsonpath", &bytes.Buffer{}, false},
		"custom columns":       {"custom-columns", &bytes.Buffer{}, false},
		"a template, anywhere": {"go-template", terminal, false},
	} {
		t.Run(name, func(t *testing.T) {
			flags := printFlags()
			*flags.OutputFormat = test.format
			if _, guarded := output(flags, test.out).(safeWriter); guarded == test.exact {
				t.Errorf("guarded: %v", guarded)
			}
		})
	}
}
