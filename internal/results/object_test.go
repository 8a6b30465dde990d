package results

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
)

var kinds = []string{api.ResultsKindConfigMap, api.ResultsKindSecret}

// drawObject draws an object of the kind, with values such as Object allows there.
func drawObject(t *rapid.T, kind string) *Object {
	text := rapid.MapOf(rapid.StringN(0, 3, 3), rapid.StringN(0, 3, 3))
	immutable := rapid.SampledFrom([]*bool{nil, new(false), new(true)})
	bytes := rapid.SliceOfN(rapid.Byte(), 0, 3)
	o := &Object{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "batch", Name: rapid.String().Draw(t, "name"), UID: types.UID(rapid.String().Draw(t, "UID")),
			Labels: text.Draw(t, "labels"), Annotations: text.Draw(t, "annotations"),
		},
		Kind: kind, Immutable: immutable.Draw(t, "immutable"), Data: text.Draw(t, "data"),
	}
	if kind == api.ResultsKindConfigMap {
		o.BinaryData = rapid.MapOf(rapid.StringN(0, 3, 3), bytes).Draw(t, "binary data")
		return o
	}
	o.Type = corev1.SecretType(rapid.SampledFrom([]string{"", "Opaque", api.SecretType}).Draw(t, "type"))
	switch rapid.SampledFrom([]string{"text", "logs", "captures"}).Draw(t, "values") {
	case "logs":
		o.BinaryData = map[string][]byte{api.DataLogsGzip: bytes.Draw(t, "logs")}
	case "captures":
		o.Labels[api.CaptureOfLabel] = "uid"
		o.Data, o.BinaryData = nil, rapid.MapOf(rapid.StringN(0, 3, 3), bytes).Draw(t, "captures")
	}
	return o
}

func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				o := drawObject(t, kind)
				stored := o.Encode()
				if got := stored.GetObjectKind().GroupVersionKind(); got != corev1.SchemeGroupVersion.WithKind(kind) {
					t.Errorf("encoded as %s", got)
				}
				decoded := Decode(stored)
				if diff := cmp.Diff(o, decoded, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("-object +decoded\n%s", diff)
				}
				if diff := cmp.Diff(stored, decoded.Encode(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("-stored +encoded again\n%s", diff)
				}
			})
		})
	}
}

// The digest says nothing of the kind: the same results have the same digest.
func TestBothKindsHoldTheSame(t *testing.T) {
	run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "\x1b[1mbytes\xff\n").says("n=1"))
	content := build(t, run)
	if content.BinaryData[api.DataLogsGzip] == nil {
		t.Fatal("no logs.gz")
	}
	for _, kind := range kinds {
		o := Decode(content.Object(kind, "batch", "report-results").Encode())
		if o.Kind != kind || o.Namespace != "batch" || o.Name != "report-results" || o.OwnerReferences != nil {
			t.Errorf("%s in %s, owned by %v", o, o.Namespace, o.OwnerReferences)
		}
		want := &Content{Data: content.Data, BinaryData: content.BinaryData, Labels: content.Labels, Annotations: content.Annotations}
		got := &Content{Data: o.Data, BinaryData: o.BinaryData, Labels: o.Labels, Annotations: o.Annotations}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in a %s: -content +decoded\n%s", kind, diff)
		}
		if err := o.Verify(run.Job, uidsOf(run.Pods)); err != nil {
			t.Errorf("in a %s: %v", kind, err)
		}
	}
}

func TestDecodeAnotherKind(t *testing.T) {
	if o := Decode(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{api.CreatedLabel: api.True}}}); o.Ours() {
		t.Errorf("a pod is taken for %+v", o)
	}
}

func TestEmpty(t *testing.T) {
	for _, kind := range kinds {
		if o := Decode(Empty(kind)); o.Kind != kind || o.Ours() {
			t.Errorf("%+v", o)
		}
	}
}

func TestOurs(t *testing.T) {
	tests := map[string]struct {
		change func(*Object)
		// in names the kinds in which it is not ours then.
		in []string
	}{
		"as it was made":   {change: func(*Object) {}},
		"of no type":       {change: func(o *Object) { o.Type = "" }, in: []string{api.ResultsKindSecret}},
		"of another type":  {change: func(o *Object) { o.Type = corev1.SecretTypeOpaque }, in: []string{api.ResultsKindSecret}},
		"mutable":          {change: func(o *Object) { o.Immutable = nil }, in: kinds},
		"immutable: false": {change: func(o *Object) { o.Immutable = new(false) }, in: kinds},
		"without a label":  {change: func(o *Object) { delete(o.Labels, api.CreatedLabel) }, in: kinds},
		"otherwise empty":  {change: func(o *Object) { o.Data, o.BinaryData, o.Annotations = nil, nil, nil }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var not []string
			for _, kind := range kinds {
				o := build(t, completedRun()).Object(kind, "batch", "report-results")
				tc.change(o)
				if !Decode(o.Encode()).Ours() {
					not = append(not, kind)
				}
			}
			if diff := cmp.Diff(tc.in, not); diff != "" {
				t.Errorf("not ours: -want +got\n%s", diff)
			}
		})
	}
}

// A client decodes the answer of the API server into what it creates: the object stays
// what it was, for another try.
func TestEncodeSharesNoMaps(t *testing.T) {
	for _, kind := range kinds {
		captures := func() *Object {
			o := NewCaptures(kind, completedRun().Job, 0, map[string][]byte{"pods": []byte("{}")})
			o.Data = map[string]string{"text": "a"}
			return o
		}
		o := captures()
		answer := []byte(`{"metadata":{"labels":{"x":"y"},"annotations":{"x":"y"},"ownerReferences":[{"kind":"Pod"}]},
			"immutable":false,"data":{"pods":"YQ==","text":"Yg==","x":"Yw=="},"binaryData":{"pods":"YQ==","x":"Yw=="}}`)
		if err := json.Unmarshal(answer, o.Encode()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(captures(), o); diff != "" {
			t.Errorf("%s: -before +after\n%s", kind, diff)
		}
	}
}

// Logs, which may be large, are not copied.
func TestDecodeSharesMemory(t *testing.T) {
	run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "bytes\xff\n"))
	for _, kind := range kinds {
		stored := build(t, run).Object(kind, "batch", "report-results").Encode()
		o := Decode(stored)
		logs := o.BinaryData[api.DataLogsGzip]
		logs[0]++
		if again := Decode(stored).BinaryData[api.DataLogsGzip]; again[0] != logs[0] {
			t.Errorf("%s: the logs were copied", kind)
		}
	}
}

func TestCaptures(t *testing.T) {
	job := completedRun().Job
	tests := map[string]struct {
		change func(*Object)
		want   error
	}{
		"as they were made":    {change: func(*Object) {}},
		"labelled by somebody": {change: func(o *Object) { o.Labels["team"] = "a" }},
		"owned by others too": {change: func(o *Object) {
			o.OwnerReferences = append([]metav1.OwnerReference{{Kind: "Job", UID: "another"}}, o.OwnerReferences...)
		}},
		"mutable":               {change: func(o *Object) { o.Immutable = nil }, want: ErrStranger},
		"not labelled":          {change: func(o *Object) { delete(o.Labels, api.CreatedLabel) }, want: ErrStranger},
		"no captures":           {change: func(o *Object) { delete(o.Labels, api.CaptureOfLabel) }, want: ErrStranger},
		"of another Job":        {change: func(o *Object) { o.Labels[api.CaptureOfLabel] = "another" }, want: ErrStranger},
		"owned by nobody":       {change: func(o *Object) { o.OwnerReferences = nil }, want: ErrStranger},
		"owned by another Job":  {change: func(o *Object) { o.OwnerReferences[0].UID = "another" }, want: ErrStranger},
		"owned by another kind": {change: func(o *Object) { o.OwnerReferences[0].Kind = "CronJob" }, want: ErrStranger},
		"no digest":             {change: func(o *Object) { o.Annotations = nil }, want: ErrDamaged},
		"a changed byte":        {change: func(o *Object) { o.BinaryData["logs"][0]++ }, want: ErrDamaged},
		"a value more":          {change: func(o *Object) { o.BinaryData["x"] = nil }, want: ErrDamaged},
		"results":               {change: func(o *Object) { o.Labels, o.BinaryData = build(t, completedRun()).Labels, nil }, want: ErrStranger},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, kind := range kinds {
				values := map[string][]byte{"pods": []byte("{}"), "logs": []byte("\x1f\x8b\xff")}
				o := NewCaptures(kind, job, 3, values)
				tc.change(o)
				got, err := Decode(o.Encode()).Captures(job)
				if !errors.Is(err, tc.want) || err == nil && !cmp.Equal(got, values) || err != nil && got != nil {
					t.Errorf("in a %s: %q, %v, want %v", kind, got, err, tc.want)
				}
			}
		})
	}
}

// Captures are no results, and results are no captures, of the same Job.
func TestCapturesAreNoResults(t *testing.T) {
	run := completedRun()
	for _, kind := range kinds {
		o := Decode(NewCaptures(kind, run.Job, 3, map[string][]byte{"pods": []byte("{}")}).Encode())
		if err := o.Verify(run.Job, nil); !errors.Is(err, ErrStranger) {
			t.Errorf("%s: %v", o, err)
		}
		if want := kind + " report-capture-" + jobUID + "-3"; o.String() != want || o.Namespace != "batch" {
			t.Errorf("%s in %s, want %s", o, o.Namespace, want)
		}
		if got := o.Annotations[api.BytesAnnotation]; got != "2" {
			t.Errorf("%s bytes", got)
		}
	}
}
