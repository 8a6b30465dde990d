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

// What people set is there under the names that they write.
func TestRender(t *testing.T) {
	text, err := render()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `--ttl-floor` | `1h0m0s` | ", "| `--capture-memory` | `64Mi` | ", "| `--namespace` | `job-handler-system` | ",
		"| `job-handler/results-ttl` | annotation | Sits on a Job or Namespace: ",
		"| `job-handler/status` | label | Holds `completed` or `failed`. |",
		"| `job-handler/results` | finalizer | ",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q", want)
		}
	}
	for _, unwanted := range []string{"| `logs.gz` ", "Annotation`", " Never"} {
		if strings.Contains(string(text), unwanted) {
			t.Errorf("%q is there", unwanted)
		}
	}
}
