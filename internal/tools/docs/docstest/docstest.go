// Package docstest tests generators of documents.
package docstest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/tools/docs"
)

// Folder is that of the documents, seen from a generator's folder.
const Folder = "../../../docs"

// UpToDate expects the documents to be what render returns.
func UpToDate(t *testing.T, render func() (docs.Files, error)) {
	t.Helper()
	for name, want := range Rendered(t, render) {
		got, err := os.ReadFile(filepath.Join(Folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("docs/%s is not what make generate writes (-generated +docs):\n%s", name, diff)
		}
	}
}

// Rendered returns what render returns.
func Rendered(t *testing.T, render func() (docs.Files, error)) docs.Files {
	t.Helper()
	files, err := render()
	if err != nil {
		t.Fatal(err)
	}
	return files
}
