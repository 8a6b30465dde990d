package resultsview

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/boundedjson"
	"github.com/job-handler/job-handler/internal/jobtest/allocated"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/results"
)

// FuzzParse reads objects that anybody who may create ConfigMaps can make, with
// the label and a digest that holds.
func FuzzParse(f *testing.F) {
	cm := store(f, runs.MakePod("a", start).Container("main", 1, []byte("hello\n")).Restarted(1, 1, []byte("before\n")))
	whole, err := json.Marshal(cm.Encode())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"metadata":{"labels":{"job-handler/created":"true"}},"data":{"job.json":"{\"schema\":\"job-handler/v1\",\"completionTime\":\"x\",\"ownResults\":{\"dataKeys\":[\"logs\",\"\"]},\"pods\":[{\"containers\":[{\"previousCapture\":{\"bytesKept\":-1},\"state\":{\"exitCode\":-2147483648}}]}]}"}}`))
	for _, bomb := range []string{
		`{"pods":[{"containers":[{}` + strings.Repeat(",{}", 1<<15) + `]}]}`,
		`{"pods":[null` + strings.Repeat(",null", 1<<15) + `]}`,
		`{"pods":[{"containers":[{"lastState":{}` + strings.Repeat(`,"lastState":null,"lastState":{}`, 1<<12) + `}]}]}`,
		`{"redacted":{"a":1` + strings.Repeat(`,"a":1`, 1<<13) + `},"ownResults":{"dataKeys":[""` + strings.Repeat(`,""`, 1<<14) + `]}}`,
		`{"x":` + strings.Repeat(`[{"x":`, 1<<13) + strings.Repeat(`}]`, 1<<13) + `}`,
		`{"message":"` + strings.Repeat(`\u0001`, 1<<13) + `"}`,
	} {
		cm.Data[api.DataJobJSON] = bomb
		whole, err := json.Marshal(cm.Encode())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(whole)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		stored := &corev1.ConfigMap{}
		if json.Unmarshal(raw, stored) != nil {
			return
		}
		object := results.Decode(stored)
		if object.Annotations == nil {
			object.Annotations = map[string]string{}
		}
		reseal(object)
		var run *Run
		var err error
		took := allocated.By(func() { run, err = Parse(object) })
		if took > 2*boundedjson.Ratio*int64(len(raw))+128<<10 {
			t.Errorf("%d bytes allocated for %d", took, len(raw))
		}
		if err != nil {
			if !errors.Is(err, results.ErrStranger) && !errors.Is(err, results.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		run.ExitCodes()
		run.LogBytes()
		run.OwnResults()
		NewestFirst([]*Run{run, {Object: object, Record: results.Record{CompletionTime: start.Format(time.RFC3339)}}})
		fetch := func(context.Context, string) (*results.Object, error) { return object, nil }
		if _, err := run.Logs(t.Context(), fetch); err != nil && !errors.Is(err, results.ErrDamaged) {
			t.Fatal(err)
		}
	})
}
