package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logpack"
)

// packedRun returns a run of pods whose logs are kept compressed.
func packedRun(maxBytes int, logs ...string) Run {
	pool := logpack.NewPool(api.MostResultsBytes)
	run := completedRun()
	for i, log := range logs {
		pod := podAt(fmt.Sprintf("pod-%d", i), i).with("main", exited(0), log)
		packed := pool.Open(false)
		_, _ = packed.Write([]byte(log))
		_ = packed.Close()
		pod.Logs[0].Packed = packed
		run.Pods = append(run.Pods, pod)
	}
	run.MaxBytes = maxBytes
	return run
}

func partNames(content *Content) []string {
	names := make([]string, 0, len(content.Parts))
	for _, p := range content.Parts {
		names = append(names, fmt.Sprintf("report-results-part-%d-%.8s", p.Number, p.SHA256))
	}
	return names
}

// list lists the parts of content.
func list(t *testing.T, content *Content) *PartList {
	t.Helper()
	if err := content.ListParts(partNames(content)); err != nil {
		t.Fatal(err)
	}
	got, err := content.Object(api.ResultsKindConfigMap, "batch", "report-results").Parts()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestPartsHoldTheArchive(t *testing.T) {
	const mib = 1 << 20
	tests := map[string]struct {
		max   int
		logs  []string
		parts int
		whole bool
	}{
		"a short log needs none":    {max: 4 * mib, logs: []string{"hello\n\x00"}, whole: true},
		"not allowed":               {max: mib, logs: []string{random(2 * mib)}},
		"less than one object more": {max: mib + 1, logs: []string{random(2 * mib)}},
		"one":                       {max: 4 * mib, logs: []string{random(1_000_000)}, parts: 1, whole: true},
		"several":                   {max: 4 * mib, logs: []string{random(2 * mib), "short\n", random(mib)}, parts: 4, whole: true},
		"more than may be stored":   {max: 4 * mib, logs: []string{random(3 * mib), "short\n", random(3 * mib)}, parts: 4},
		"as much as may be stored":  {max: api.MostResultsBytes, logs: []string{random(15 * mib)}, parts: 16, whole: true},
		"more is no more than that": {max: 2 * api.MostResultsBytes, logs: []string{random(20 * mib)}, parts: 16},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			content := build(t, packedRun(tc.max, tc.logs...))
			if len(content.Parts) != tc.parts || content.Capture.Complete != tc.whole {
				t.Fatalf("%d parts, %+v", len(content.Parts), content.Capture)
			}
			if tc.parts > 0 {
				list(t, content)
			}
			size := content.Bytes()
			for i, p := range content.Parts {
				if size += len(p.Bytes); len(p.Bytes) > mib || i < len(content.Parts)-1 && len(p.Bytes) != mib {
					t.Errorf("part %d has %d bytes", i, len(p.Bytes))
				}
			}
			if content.Bytes() > mib || size > min(tc.max, api.MostResultsBytes) {
				t.Errorf("%d bytes in the object, %d in all", content.Bytes(), size)
			}
			if !tc.whole && size < min(tc.max, api.MostResultsBytes)*9/10 {
				t.Errorf("%d bytes only are used", size)
			}
			checkLogs(t, content, tc.logs)
		})
	}
}

// checkLogs fails unless what is kept of logs is head and tail of them, and the
// short ones are whole.
func checkLogs(t *testing.T, content *Content, logs []string) {
	t.Helper()
	text := string(unpack(t, content))
	for i, p := range readRecord(t, content).Pods {
		c := p.Containers[0].Capture
		got := text[c.Exact.Offset : c.Exact.Offset+c.BytesKept]
		if c.Complete != (got == logs[i]) || len(logs[i]) < 100 && !c.Complete {
			t.Errorf("%s: %+v", p.Name, c)
		}
		if !c.Complete && (!strings.HasPrefix(logs[i], got[:c.Exact.HeadBytes]) || !strings.HasSuffix(logs[i], got[c.Exact.HeadBytes:])) {
			t.Errorf("%s: %+v are not head and tail", p.Name, c)
		}
	}
}

// The same log makes the same parts, so that a pass after a crash finds them.
func TestPartsAreTheSameAgain(t *testing.T) {
	first := build(t, packedRun(4<<20, random(3<<20)))
	second := build(t, packedRun(4<<20, random(3<<20)))
	if diff := cmp.Diff(partNames(first), partNames(second)); diff != "" {
		t.Errorf("-first +second\n%s", diff)
	}
}

func TestListParts(t *testing.T) {
	run := packedRun(4<<20, random(3<<20))
	content := build(t, run)
	got := list(t, content)
	var whole []byte
	for i, p := range content.Parts {
		whole = append(whole, p.Bytes...)
		if got.Parts[i] != p.Record(partNames(content)[i]) {
			t.Errorf("%+v", got.Parts[i])
		}
	}
	if got.Key != api.DataLogsGzip || got.Bytes != int64(len(whole)) || got.SHA256 != hexSHA256(whole) {
		t.Errorf("%+v", got)
	}
	if err := content.Object(api.ResultsKindConfigMap, "batch", "report-results").Verify(run.Job, nil); err != nil {
		t.Error(err)
	}
	if longest := strings.Repeat("a", 253); len(content.Parts) > 0 {
		for i := range content.Parts {
			content.Parts[i].Number = i
		}
		names := make([]string, len(content.Parts))
		for i := range names {
			names[i] = longest
		}
		if err := content.ListParts(names); err != nil || len(content.Data[api.DataParts]) > 512*(len(names)+1) {
			t.Errorf("the list has %d bytes, %v", len(content.Data[api.DataParts]), err)
		}
	}
}

func TestPartsRefuses(t *testing.T) {
	many, _ := json.Marshal(PartList{Key: api.DataLogsGzip, Parts: make([]PartRecord, mostParts+1)})
	for name, text := range map[string]string{
		"no JSON": "{", "nothing": "{}", "no parts": `{"key":"logs.gz"}`, "another key": `{"key":"logs","parts":[{"name":"a"}]}`,
		"too many": string(many), "no name": `{"key":"logs.gz","parts":[{}]}`, "a path": `{"key":"logs.gz","parts":[{"name":"../a"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := (&Object{Data: map[string]string{api.DataParts: text}}).Parts(); !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
		})
	}
	if list, err := (&Object{}).Parts(); err != nil || len(list.Parts) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestVerifyPart(t *testing.T) {
	tests := map[string]struct {
		change func(*Object)
		want   error
	}{
		"another type":     {change: func(o *Object) { o.Kind, o.Type = api.ResultsKindSecret, corev1.SecretTypeOpaque }, want: ErrStranger},
		"nothing wrong":    {change: func(*Object) {}},
		"mutable":          {change: func(o *Object) { o.Immutable = nil }, want: ErrStranger},
		"not ours":         {change: func(o *Object) { delete(o.Labels, api.CreatedLabel) }, want: ErrStranger},
		"of another run":   {change: func(o *Object) { o.Labels[api.JobUIDLabel] = "x" }, want: ErrEarlierRun},
		"not a part":       {change: func(o *Object) { delete(o.Labels, api.PartLabel) }, want: ErrDamaged},
		"with another end": {change: func(o *Object) { o.BinaryData[api.DataLogsGzip][1000]++ }, want: ErrDamaged},
		"empty":            {change: func(o *Object) { o.BinaryData = nil }, want: ErrDamaged},
		"annotated anew":   {change: func(o *Object) { o.Annotations = nil }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, kind := range kinds {
				run := packedRun(4<<20, random(2<<20))
				content := build(t, run)
				part := content.Parts[1]
				part.Bytes = bytes.Clone(part.Bytes)
				o := content.PartContent(part, "report-results").Object(kind, "batch", "p")
				tc.change(o)
				if err := Decode(o.Encode()).VerifyPart(run.Job, part.Record("p")); !errors.Is(err, tc.want) {
					t.Errorf("in a %s: %v, want %v", kind, err, tc.want)
				}
			}
		})
	}
}
