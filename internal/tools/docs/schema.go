package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	// here is this package's path, from which that of the types is told.
	here    = "github.com/job-handler/job-handler/internal/tools/docs"
	sources = "../../results"

	schemaFile = "job-v1.schema.json"

	// Counts that are those of the API server, or no counts.
	signed = "exitCode signal index restartCount succeeded failed"

	schemaID = "https://github.com/job-handler/job-handler/docs/" + schemaFile
)

// jobSchema returns the schema of job.json: the Go types with their comments,
// and the values that Go types cannot tell. Objects may have fields that it does
// not know, which later versions add.
func jobSchema() (*jsonschema.Schema, error) {
	reflector := &jsonschema.Reflector{Anonymous: true, AllowAdditionalProperties: true}
	if err := reflector.AddGoComments(here, sources, jsonschema.WithFullComment()); err != nil {
		return nil, fmt.Errorf("reading the comments of %s: %w", sources, err)
	}
	schema := reflector.Reflect(&results.Record{})
	schema.ID, schema.Title = schemaID, "job.json in the results of a Job, schema "+api.SchemaV1
	for _, definition := range schema.Definitions {
		definition.Description = described(definition.Description)
		for pair := definition.Properties.Oldest(); pair != nil; pair = pair.Next() {
			pair.Value.Description = described(pair.Value.Description)
			narrow(pair.Key, pair.Value)
		}
	}
	return schema, enumerate(schema.Definitions)
}

// enumerate says which values texts may have.
func enumerate(definitions jsonschema.Definitions) error {
	for _, values := range []struct {
		definition, property string
		allowed              []any
	}{
		{"Record", "schema", []any{api.SchemaV1}},
		{"Record", "status", []any{api.StatusCompleted, api.StatusFailed}},
		{"Record", "logMode", anys(policy.LogModes)},
		{"ContainerRecord", "kind", []any{results.KindInit, results.KindSidecar, results.KindMain, results.KindEphemeral}},
		{"StateRecord", "state", []any{results.StateWaiting, results.StateRunning, results.StateTerminated, results.StateUnknown}},
		{"OwnLeftOut", "reason", []any{results.OwnNoRoom, results.OwnKeyTaken, results.OwnKeyTooLong, results.OwnFailedAttempt}},
	} {
		found, ok := definitions[values.definition].Properties.Get(values.property)
		if !ok {
			return fmt.Errorf("%s has no %s", values.definition, values.property)
		}
		found.Enum = values.allowed
	}
	return nil
}

// narrow says what the names of fields tell of their values.
func narrow(name string, schema *jsonschema.Schema) {
	switch {
	case schema.Type == "string" && (strings.HasSuffix(name, "Time") || strings.HasSuffix(name, "At")):
		schema.Format = "date-time"
	case schema.Type == "integer" && !slices.Contains(strings.Fields(signed), name):
		schema.Minimum = json.Number("0")
	}
}

func anys(values []string) []any {
	list := make([]any, 0, len(values))
	for _, value := range values {
		list = append(list, value)
	}
	return list
}

// described returns a comment on one line, without the name of what it is about.
func described(comment string) string {
	_, text, _ := strings.Cut(oneLine(comment), " ")
	text = strings.TrimPrefix(text, "is ")
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// schemaText returns the schema as people read it.
func schemaText() ([]byte, error) {
	schema, err := jobSchema()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return text.Bytes(), nil
}
