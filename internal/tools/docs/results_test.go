package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// Every key that there can be has a row, and each row's example is the value.
func TestEveryDataKeyHasARow(t *testing.T) {
	keys, err := os.ReadFile("../../api/keys.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, resultsFile))
	if err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(string(text), "\n## Labels")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z.-]+)…?` \\| .* \\| (.*) \\|$").FindAllStringSubmatch(table, -1) {
		rows[row[1]] = strings.Trim(row[2], "`")
	}
	for _, match := range regexp.MustCompile(`(?m)^\tData\w+ = "(.+)"$`).FindAllStringSubmatch(string(keys), -1) {
		if rows[match[1]] == "" {
			t.Errorf("no row for %s", match[1])
		}
	}
	content, err := readExample()
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range content.Data {
		example, documented := rows[key]
		switch {
		case strings.Contains(example, "](#"):
			if !strings.Contains(string(text), "\n## "+key+"\n") || !strings.Contains(string(text), value) {
				t.Errorf("%s is not shown below", key)
			}
		case documented && example != value:
			t.Errorf("%s: %q, want %q", key, example, value)
		case !documented && !strings.Contains(string(text), "`"+key+"`") && key != "output-location":
			t.Errorf("%s is not documented", key)
		}
	}
	if content.BinaryData[api.DataLogsGzip] == nil {
		t.Error("the example has no logs.gz")
	}
	if digest := results.Digest(content.Data, content.BinaryData); content.Annotations[api.SHA256Annotation] != digest {
		t.Errorf("the example was edited: its SHA-256 is %s, not %s", digest, content.Annotations[api.SHA256Annotation])
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	schema, err := jobSchema()
	if err != nil {
		t.Fatal(err)
	}
	described := 0
	for name, definition := range schema.Definitions {
		for pair := definition.Properties.Oldest(); pair != nil; pair = pair.Next() {
			described++
			if len(pair.Value.Description) < 10 {
				t.Errorf("%s.%s is not described", name, pair.Key)
			}
		}
	}
	if described < 60 {
		t.Errorf("%d fields only", described)
	}
}
