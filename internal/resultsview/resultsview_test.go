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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/results"
)

var start = time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)

// store returns the results of a Job that completed with these pods.
func store(t testing.TB, pods ...*runs.PodBuilder) *corev1.ConfigMap {
	t.Helper()
	job := jobtest.MakeJob("batch", "report").UID("11111111-2222").Started(start).Completed(start.Add(90 * time.Second)).Obj()
	content, err := results.Build(runs.Of(job, pods...))
	if err != nil {
		t.Fatal(err)
	}
	return content.ConfigMap("batch", "report-results")
}

func reseal(cm *corev1.ConfigMap) {
	cm.Annotations[api.SHA256Annotation] = results.Digest(cm.Data, cm.BinaryData)
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(cm *corev1.ConfigMap)
		want   error
	}{
		"nothing wrong":     {change: func(*corev1.ConfigMap) {}},
		"captures":          {change: func(cm *corev1.ConfigMap) { cm.Labels[api.CaptureOfLabel] = "uid" }, want: results.ErrStranger},
		"not ours":          {change: func(cm *corev1.ConfigMap) { delete(cm.Labels, api.CreatedLabel) }, want: results.ErrStranger},
		"changed":           {change: func(cm *corev1.ConfigMap) { cm.Data[api.DataLogs] += "forged\n" }, want: results.ErrDamaged},
		"no digest":         {change: func(cm *corev1.ConfigMap) { cm.Annotations = nil }, want: results.ErrDamaged},
		"no JSON":           {change: func(cm *corev1.ConfigMap) { cm.Data[api.DataJobJSON] = "{"; reseal(cm) }, want: results.ErrDamaged},
		"of another schema": {change: func(cm *corev1.ConfigMap) { cm.Data[api.DataJobJSON] = `{"schema":"x"}`; reseal(cm) }, want: results.ErrDamaged},
		"nothing in it":     {change: func(cm *corev1.ConfigMap) { cm.Data = nil; reseal(cm) }, want: results.ErrDamaged},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cm := store(t, runs.MakePod("a", start).Container("main", 0, []byte("hello\n")))
			tc.change(cm)
			if _, err := Parse(FromConfigMap(cm)); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	cm := store(t, runs.MakePod("a", start).Container("main", 0, []byte("hello\n")))
	fetch := func(_ context.Context, name string) (Object, error) {
		if name != cm.Name {
			return Object{}, errors.ErrUnsupported
		}
		return FromConfigMap(cm), nil
	}
	run, err := Open(t.Context(), cm.Name, fetch)
	if err != nil || run.Job.Name != "report" || run.Namespace != "batch" || run.Status != api.StatusCompleted {
		t.Errorf("%+v, %v", run, err)
	}
	if _, err := Open(t.Context(), "other", fetch); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	cm.Data["x"] = "y"
	if _, err := Open(t.Context(), cm.Name, fetch); !errors.Is(err, results.ErrDamaged) || !strings.Contains(err.Error(), "report-results") {
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
			run, err := Parse(FromConfigMap(store(t, tc.pods...)))
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
	run, err := Parse(FromConfigMap(store(t, runs.MakePod("a", start).Container("main", 0, []byte(log)))))
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
	tests := map[string]func(cm *corev1.ConfigMap){
		"not gzip":      func(cm *corev1.ConfigMap) { cm.BinaryData[api.DataLogsGzip] = []byte("text") },
		"cut short":     func(cm *corev1.ConfigMap) { cm.BinaryData[api.DataLogsGzip] = cm.BinaryData[api.DataLogsGzip][:30] },
		"another place": func(cm *corev1.ConfigMap) { cm.BinaryData = nil; cm.Data[api.DataLogs] = "short" },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			cm := store(t, runs.MakePod("a", start).Container("main", 0, []byte("\x00\x01\x02")))
			damage(cm)
			reseal(cm)
			run, err := Parse(FromConfigMap(cm))
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
	cm := store(t,
		runs.MakePod("a", start).Container("main", 3, []byte("hello\n")).Restarted(7, 1, []byte("before")),
		runs.MakePod("b", start).Container("main", 0, []byte("hello\n")).Said("records-processed=1,234,567"),
		runs.MakePod("c", start).Container("main", 3, nil),
	)
	cm.Data["smuggled"] = "in"
	reseal(cm)
	run, err := Parse(FromConfigMap(cm))
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
		return &Run{Object: Object{ObjectMeta: metaNamed(name)}, Record: results.Record{CompletionTime: finished}}
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
		cm := store(t, runs.MakePod("a", start).Container("main", 0, []byte("x")))
		record := results.Record{Schema: api.SchemaV1, Pods: []results.PodRecord{{Containers: []results.ContainerRecord{{
			Capture: results.CaptureRecord{BytesKept: kept, BytesSeen: seen, Exact: &results.ExactRecord{Offset: offset, HeadBytes: head}},
		}}}}}
		content, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		cm.Data[api.DataJobJSON], cm.Data[api.DataLogs] = string(content), text
		if packed != nil {
			cm.BinaryData = map[string][]byte{api.DataLogsGzip: packed}
		}
		reseal(cm)
		run, err := Parse(FromConfigMap(cm))
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
