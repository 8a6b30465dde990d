package main

import (
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/tools/docs/docstest"
)

func TestDocsAreUpToDate(t *testing.T) { docstest.UpToDate(t, render) }

// What people set is there under the names that they write.
func TestRender(t *testing.T) {
	text := docstest.Rendered(t, render)[pageFile]
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
