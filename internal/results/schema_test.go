package results

import (
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/job-handler/job-handler/internal/api"
)

// jobSchema is the schema of job.json that people are given.
var jobSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	return compiler.Compile("../../docs/job-v1.schema.json")
})

// conforms returns what in text does not conform to the schema; checkContent
// asks it about every job.json of these tests.
func conforms(text string) error {
	schema, err := jobSchema()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func TestSchemaRefuses(t *testing.T) {
	run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "hello\n").says("n=1"))
	good := build(t, run).Data[api.DataJobJSON]
	if err := conforms(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"another schema":        {api.SchemaV1, "job-handler/v2"},
		"a status of its own":   {`"status": "completed"`, `"status": "fine"`},
		"a time that is none":   {"2026-11-05T10:00:00Z", "yesterday"},
		"a negative count":      {`"bytesSeen": 6`, `"bytesSeen": -6`},
		"text for a number":     {`"bytesSeen": 6`, `"bytesSeen": "6"`},
		"a kind of its own":     {`"kind": "main"`, `"kind": "other"`},
		"a field that is gone":  {`"uid"`, `"id"`},
		"a list that is a text": {`"dataKeys": [`, `"dataKeys": "n", "x": [`},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, change[0], change[1], 1)
			if bad == good {
				t.Fatal("nothing changed")
			}
			if conforms(bad) == nil {
				t.Error("conforms")
			}
		})
	}
	if err := conforms(strings.Replace(good, "{", `{"later": {"x": []},`, 1)); err != nil {
		t.Errorf("a field of a later version: %v", err)
	}
}
