package resultsview

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/results"
)

var start = time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)

// store returns the results of a Job that completed with these pods.
func store(t testing.TB, pods ...*runs.PodBuilder) *results.Object {
	t.Helper()
	job := jobtest.MakeJob("batch", "report").UID("11111111-2222").Started(start).Completed(start.Add(90 * time.Second)).Obj()
	content, err := results.Build(runs.Of(job, pods...))
	if err != nil {
		t.Fatal(err)
	}
	return content.Object(api.ResultsKindConfigMap, "batch", "report-results")
}

func reseal(object *results.Object) {
	object.Annotations[api.SHA256Annotation] = results.Digest(object.Data, object.BinaryData)
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(object *results.Object)
		want   error
	}{
		"nothing wrong":     {change: func(*results.Object) {}},
		"captures":          {change: func(object *results.Object) { object.Labels[api.CaptureOfLabel] = "uid" }, want: results.ErrStranger},
		"not ours":          {change: func(object *results.Object) { delete(object.Labels, api.CreatedLabel) }, want: results.ErrStranger},
		"changed":           {change: func(object *results.Object) { object.Data[api.DataLogs] += "forged\n" }, want: results.ErrDamaged},
		"no digest":         {change: func(object *results.Object) { object.Annotations = nil }, want: results.ErrDamaged},
		"no JSON":           {change: func(object *results.Object) { object.Data[api.DataJobJSON] = "{"; reseal(object) }, want: results.ErrDamaged},
		"of another schema": {change: func(object *results.Object) { object.Data[api.DataJobJSON] = `{"schema":"x"}`; reseal(object) }, want: results.ErrDamaged},
		"nothing in it":     {change: func(object *results.Object) { object.Data = nil; reseal(object) }, want: results.ErrDamaged},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			object := store(t, runs.MakePod("a", start).Container("main", 0, []byte("hello\n")))
			tc.change(object)
			if _, err := Parse(object); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	object := store(t, runs.MakePod("a", start).Container("main", 0, []byte("hello\n")))
	fetch := func(_ context.Context, name string) (*results.Object, error) {
		if name != object.Name {
			return nil, errors.ErrUnsupported
		}
		return object, nil
	}
	run, err := Open(t.Context(), object.Name, fetch)
	if err != nil || run.Job.Name != "report" || run.Namespace != "batch" || run.Status != api.StatusCompleted {
		t.Errorf("%+v, %v", run, err)
	}
	if _, err := Open(t.Context(), "other", fetch); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	object.Data["x"] = "y"
	if _, err := Open(t.Context(), object.Name, fetch); !errors.Is(err, results.ErrDamaged) || !strings.Contains(err.Error(), "report-results") {
		t.Error(err)
	}
}

func TestLogs(t *testing.T) {
	binary := []byte("\x1b[1mbold\x00\xff\r\n")
	tests := map[string]struct {
		pods  []*runs.PodBuilder
		want  []string
		exact bool
	}{
		"text": {
			pods: []*runs.PodBuilder{runs.MakePod("a", start).Container("main", 0, []byte("one\ntwo"))},
			want: []string{"a/main: one\ntwo"},
		},
		"bytes": {
			pods:  []*runs.PodBuilder{runs.MakePod("a", start).Container("main", 0, binary).Container("side", 0, []byte("plain"))},
			want:  []string{"a/main: " + string(binary), "a/side: plain"},
			exact: true,
		},
		"nothing": {
			pods: []*runs.PodBuilder{runs.MakePod("a", start).Container("main", 0, nil)},
			want: []string{"a/main: "},
		},
		"a previous instance": {
			pods: []*runs.PodBuilder{
				runs.MakePod("b", start.Add(time.Second)).Container("main", 0, []byte("b")),
				runs.MakePod("a", start).Container("main", 1, []byte("now\n")).Restarted(1, 2, []byte("before\n")),
			},
			want: []string{"a/main before: before\n", "a/main: now\n", "b/main: b"},
		},
		"earlier instances": {
			pods: []*runs.PodBuilder{
				runs.MakePod("a", start).Container("main", 1, []byte("now\n")).Restarted(4, 2, []byte("before\n")).
					Earlier(0, 1, []byte("first\n")).Earlier(2, 1, binary),
			},
			want:  []string{"a/main 0: first\n", "a/main 2: " + string(binary), "a/main before: before\n", "a/main: now\n"},
			exact: true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run, err := Parse(store(t, tc.pods...))
			if err != nil {
				t.Fatal(err)
			}
			logs, err := run.Logs(t.Context(), nil)
			if err != nil || logs.Exact != tc.exact {
				t.Fatalf("exact %t, %v", logs.Exact, err)
			}
			var got []string
			for _, l := range logs.List {
				name := l.Pod.Name + "/" + l.Container.Name
				if l.Previous {
					name += " before"
				}
				if l.Instance != nil {
					name += fmt.Sprintf(" %d", *l.Instance.Restart)
				}
				if !l.Exact() || l.Tail != nil {
					t.Errorf("%s: %+v", name, l)
				}
				got = append(got, name+": "+string(l.Head))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestShortenedLog(t *testing.T) {
	log := strings.Repeat("0123456789abcde\n", 1<<17)
	run, err := Parse(store(t, runs.MakePod("a", start).Container("main", 0, []byte(log))))
	if err != nil {
		t.Fatal(err)
	}
	logs, err := run.Logs(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := logs.List[0]
	if !strings.HasPrefix(log, string(l.Head)) || !strings.HasSuffix(log, string(l.Tail)) || len(l.Head)+len(l.Tail) != runs.BufferBytes {
		t.Errorf("%d and %d bytes", len(l.Head), len(l.Tail))
	}
	if kept, seen := run.LogBytes(); kept != runs.BufferBytes || seen != int64(len(log)) {
		t.Errorf("kept %d of %d", kept, seen)
	}
}

func TestDamagedLogs(t *testing.T) {
	tests := map[string]func(object *results.Object){
		"not gzip": func(object *results.Object) { object.BinaryData[api.DataLogsGzip] = []byte("text") },
		"cut short": func(object *results.Object) {
			object.BinaryData[api.DataLogsGzip] = object.BinaryData[api.DataLogsGzip][:30]
		},
		"another place": func(object *results.Object) { object.BinaryData = nil; object.Data[api.DataLogs] = "short" },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			object := store(t, runs.MakePod("a", start).Container("main", 0, []byte("\x00\x01\x02")))
			damage(object)
			reseal(object)
			run, err := Parse(object)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := run.Logs(t.Context(), nil); !errors.Is(err, results.ErrDamaged) {
				t.Error(err)
			}
		})
	}
}

func TestRunTells(t *testing.T) {
	object := store(t,
		runs.MakePod("a", start).Container("main", 3, []byte("hello\n")).Restarted(7, 1, []byte("before")),
		runs.MakePod("b", start).Container("main", 0, []byte("hello\n")).Said("records-processed=1,234,567"),
		runs.MakePod("c", start).Container("main", 3, nil),
	)
	object.Data["smuggled"] = "in"
	reseal(object)
	run, err := Parse(object)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int32{0, 3}, run.ExitCodes()); diff != "" {
		t.Errorf("exit codes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"records-processed": "1,234,567"}, run.OwnResults()); diff != "" {
		t.Errorf("own results (-want +got):\n%s", diff)
	}
	if got := run.Finished(); !got.Equal(start.Add(90 * time.Second)) {
		t.Errorf("finished %s", got)
	}
	if kept, seen := run.LogBytes(); kept != 18 || seen != 18 {
		t.Errorf("kept %d of %d bytes", kept, seen)
	}
	if c := run.Pods[0].Containers[0]; !c.Unstable() || !c.Failed() {
		t.Errorf("%+v", c)
	}
}

func TestNewestFirst(t *testing.T) {
	at := func(name, finished string) *Run {
		return &Run{Object: &results.Object{ObjectMeta: metaNamed(name)}, Record: results.Record{CompletionTime: finished}}
	}
	list := []*Run{
		at("unknown", ""), at("old", "2026-11-05T10:00:00Z"), at("b", "2026-11-06T10:00:00Z"), at("a", "2026-11-06T10:00:00Z"),
	}
	NewestFirst(list)
	var got []string
	for _, r := range list {
		got = append(got, r.Name)
	}
	if diff := cmp.Diff([]string{"a", "b", "old", "unknown"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLastLines(t *testing.T) {
	tests := map[string]struct {
		text string
		n    int
		want string
	}{
		"some":               {"a\nb\nc\n", 2, "b\nc\n"},
		"without an end":     {"a\nb\nc", 2, "b\nc"},
		"all":                {"a\nb\n", 2, "a\nb\n"},
		"more than there is": {"a\nb\n", 9, "a\nb\n"},
		"none":               {"a\nb\n", 0, ""},
		"less than none":     {"a\nb\n", -1, ""},
		"empty lines":        {"a\n\n\n", 2, "\n\n"},
		"empty":              {"", 3, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := string(LastLines([]byte(tc.text), tc.n)); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// Whatever a record says of places, reading it does not panic: anybody may make
// an object whose digest holds.
func FuzzLogs(f *testing.F) {
	f.Add("text", []byte(nil), int64(0), int64(4), int64(4), int64(0))
	f.Add("text", []byte("\x1f\x8b"), int64(-1), int64(1<<62), int64(1), int64(1<<62))
	f.Fuzz(func(t *testing.T, text string, packed []byte, offset, kept, seen, head int64) {
		object := store(t, runs.MakePod("a", start).Container("main", 0, []byte("x")))
		record := results.Record{Schema: api.SchemaV1, Pods: []results.PodRecord{{Containers: []results.ContainerRecord{{
			Capture: results.CaptureRecord{BytesKept: kept, BytesSeen: seen, Exact: &results.ExactRecord{Offset: offset, HeadBytes: head}},
		}}}}}
		content, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		object.Data[api.DataJobJSON], object.Data[api.DataLogs] = string(content), text
		if packed != nil {
			object.BinaryData = map[string][]byte{api.DataLogsGzip: packed}
		}
		reseal(object)
		run, err := Parse(object)
		if err != nil {
			t.Fatal(err)
		}
		logs, err := run.Logs(t.Context(), nil)
		if err != nil && !errors.Is(err, results.ErrDamaged) {
			t.Fatal(err)
		}
		if err == nil && logs.List[0].End > 0 && int64(len(logs.List[0].Head)+len(logs.List[0].Tail)) != kept {
			t.Fatalf("%+v", logs.List[0])
		}
	})
}

func metaNamed(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }
