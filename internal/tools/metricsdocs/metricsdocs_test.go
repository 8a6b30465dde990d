package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocsAreUpToDate(t *testing.T) {
	want, err := render()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../docs/" + pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/%s is not what make generate writes (-generated +docs):\n%s", pageFile, diff)
	}
}

func TestRender(t *testing.T) {
	text, err := render()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"### `job_handler_jobs_stored_total`\n\ncounter by `outcome`, `capture`. ", "| `kept` | ", "Classic buckets up to 0.01, 0.05, ",
		"Classic buckets up to 4Ki, 16Ki, 64Ki, 256Ki, 1Mi, 4Mi, 16Mi.", "Absent: Until a test has told.", "`namespace`: The namespaces with results",
		"### `job_handler_results_lost_total`\n\ncounter. ",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(string(text), "\n\n\n") {
		t.Error("empty lines in a row")
	}
}
