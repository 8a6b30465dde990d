package main

import (
	"strings"
	"testing"
)

// What people set is there under the names that they write.
func TestConfiguration(t *testing.T) {
	text := rendered(t, configurationFile)
	for _, want := range []string{
		"| `--ttl-floor` | `1h0m0s` | ", "| `--capture-memory` | `64Mi` | ", "| `--namespace` | `job-handler-system` | ",
		"| `job-handler/results-ttl` | annotation | Sits on a Job or Namespace: ",
		"| `job-handler/status` | label | Holds `completed` or `failed`. |",
		"| `job-handler/results` | finalizer | ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, unwanted := range []string{"| `logs.gz` ", "Annotation`", " Never"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("%q is there", unwanted)
		}
	}
}
