// Command configdocs writes docs/configuration.md, every flag of the manager and
// every key that it reads and writes on objects, from the code that declares
// them, to the folder named by its argument. It is run in its own folder.
package main

import (
	_ "embed"
	"fmt"
	"os"

	"github.com/job-handler/job-handler/internal/tools/docs"
)

//go:generate go run . ../../../docs

const (
	pageFile = "configuration.md"
	keysFile = "../../api/keys.go"
)

//go:embed configuration.md.tmpl
var pageTemplate string

// page is what the template is given.
type page struct {
	FlagGroups []flagGroup
	KeyGroups  []keyGroup
}

func main() {
	if err := docs.Write(os.Args[1:], render); err != nil {
		fmt.Fprintln(os.Stderr, "configdocs:", err)
		os.Exit(1)
	}
}

func render() (docs.Files, error) {
	keys, err := keyGroups(keysFile)
	if err != nil {
		return nil, err
	}
	text, err := docs.Fill(pageTemplate, nil, page{FlagGroups: flagGroups(), KeyGroups: keys})
	return docs.Files{pageFile: text}, err
}
