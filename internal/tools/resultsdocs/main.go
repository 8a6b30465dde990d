// Command resultsdocs writes what docs has about results objects to the folder
// named by its argument: results.md, with the example that a run left behind, and
// the JSON Schema of job.json. It is run in its own folder.
package main

import (
	"fmt"
	"os"

	"github.com/job-handler/job-handler/internal/tools/docs"
)

//go:generate go run . ../../../docs

const (
	pageFile   = "results.md"
	schemaFile = "job-v1.schema.json"
)

func main() {
	if err := docs.Write(os.Args[1:], render); err != nil {
		fmt.Fprintln(os.Stderr, "resultsdocs:", err)
		os.Exit(1)
	}
}

func render() (docs.Files, error) {
	schema, err := jobSchema()
	if err != nil {
		return nil, err
	}
	text, err := encode(schema)
	if err != nil {
		return nil, err
	}
	page, err := renderPage(schema)
	if err != nil {
		return nil, err
	}
	return docs.Files{pageFile: page, schemaFile: text}, nil
}
