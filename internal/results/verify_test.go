package results

import (
	"errors"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
)

// reseal makes the annotations of o agree with its content again.
func reseal(o *Object) {
	o.Annotations[api.SHA256Annotation] = Digest(o.Data, o.BinaryData)
}

func replaceJSON(o *Object, from, to string) {
	o.Data[api.DataJobJSON] = strings.ReplaceAll(o.Data[api.DataJobJSON], from, to)
	reseal(o)
}

func TestVerify(t *testing.T) {
	tests := map[string]struct {
		change func(o *Object, job *batchv1.Job)
		pods   []types.UID
		want   error
	}{
		"this run":               {},
		"with its pod":           {pods: []types.UID{"uid-of-report-abc12"}},
		"user added a label":     {change: func(o *Object, _ *batchv1.Job) { o.Labels["team"] = "x" }},
		"not labelled":           {change: func(o *Object, _ *batchv1.Job) { o.Labels = nil }, want: ErrStranger},
		"created=yes":            {change: func(o *Object, _ *batchv1.Job) { o.Labels[api.CreatedLabel] = "yes" }, want: ErrStranger},
		"mutable":                {change: func(o *Object, _ *batchv1.Job) { o.Immutable = nil }, want: ErrStranger},
		"immutable: false":       {change: func(o *Object, _ *batchv1.Job) { o.Immutable = new(bool) }, want: ErrStranger},
		"captures":               {change: func(o *Object, j *batchv1.Job) { o.Labels[api.CaptureOfLabel] = string(j.UID) }, want: ErrStranger},
		"no UID":                 {change: func(o *Object, _ *batchv1.Job) { delete(o.Labels, api.JobUIDLabel) }, want: ErrStranger},
		"no UID on both sides":   {change: func(o *Object, j *batchv1.Job) { o.Labels[api.JobUIDLabel], j.UID = "", "" }, want: ErrStranger},
		"earlier run":            {change: func(_ *Object, j *batchv1.Job) { j.UID = "another" }, want: ErrEarlierRun},
		"another Job":            {change: func(_ *Object, j *batchv1.Job) { j.UID, j.Name = "another", "other" }, want: ErrStranger},
		"no digest":              {change: func(o *Object, _ *batchv1.Job) { o.Annotations = nil }, want: ErrDamaged},
		"a key more":             {change: func(o *Object, _ *batchv1.Job) { o.Data["x"] = "" }, want: ErrDamaged},
		"a key less":             {change: func(o *Object, _ *batchv1.Job) { delete(o.Data, api.DataStatus) }, want: ErrDamaged},
		"binary data":            {change: func(o *Object, _ *batchv1.Job) { o.BinaryData = map[string][]byte{"x": nil} }, want: ErrDamaged},
		"no job.json":            {change: func(o *Object, _ *batchv1.Job) { delete(o.Data, api.DataJobJSON); reseal(o) }, want: ErrDamaged},
		"job.json is not JSON":   {change: func(o *Object, _ *batchv1.Job) { replaceJSON(o, "{", "[") }, want: ErrDamaged},
		"another schema":         {change: func(o *Object, _ *batchv1.Job) { replaceJSON(o, api.SchemaV1, "v9") }, want: ErrDamaged},
		"about another UID":      {change: func(o *Object, _ *batchv1.Job) { replaceJSON(o, jobUID, "another") }, want: ErrDamaged},
		"a pod that it lacks":    {pods: []types.UID{"uid-of-report-abc12", "unknown"}, want: ErrDamaged},
		"more than it left out":  {change: func(o *Object, _ *batchv1.Job) { replaceJSON(o, `"pods": 0`, `"pods": 1`) }, pods: []types.UID{"a", "b"}, want: ErrDamaged},
		"as many as it left out": {change: func(o *Object, _ *batchv1.Job) { replaceJSON(o, `"pods": 0`, `"pods": 2`) }, pods: []types.UID{"a", "b"}},
		"empty object":           {change: func(o *Object, _ *batchv1.Job) { *o = Object{} }, want: ErrStranger},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, kind := range kinds {
				run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "hello\n"))
				o, job := build(t, run).Object(kind, "batch", "report-results"), run.Job.DeepCopy()
				if tc.change != nil {
					tc.change(o, job)
				}
				err := Decode(o.Encode()).Verify(job, tc.pods)
				if !errors.Is(err, tc.want) || IsMismatch(err) != (err != nil) {
					t.Errorf("in a %s: %v, want %v", kind, err, tc.want)
				}
			}
		})
	}
}

func TestVerifyFindsEveryByte(t *testing.T) {
	run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "hello\n"))
	o := build(t, run).Object(api.ResultsKindConfigMap, "batch", "report-results")
	for key, value := range o.Data {
		for i := range len(value) {
			flipped := []byte(value)
			flipped[i] ^= 1
			o.Data[key] = string(flipped)
			if err := o.Verify(run.Job, nil); !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d of %s flipped: %v", i, key, err)
			}
		}
		o.Data[key] = value
	}
	if err := o.Verify(run.Job, nil); err != nil {
		t.Fatal(err)
	}
}

// TestDigestTellsApart moves bytes between keys and values, and between data
// and binaryData.
func TestDigestTellsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.MapOf(rapid.StringN(0, 3, 3), rapid.StringN(0, 3, 3))
		a, b := data.Draw(t, "a"), data.Draw(t, "b")
		binary := map[string][]byte{}
		for key, value := range b {
			binary[key] = []byte(value)
		}
		if len(b) > 0 && Digest(a, binary) == Digest(b, nil) {
			t.Fatalf("%v and %v have one digest", a, b)
		}
		same := len(a) == len(b)
		for key := range a {
			value, found := b[key]
			same = same && found && value == a[key]
		}
		if got := Digest(a, nil) == Digest(b, nil); got != same {
			t.Fatalf("%v and %v: the same digest is %v, want %v", a, b, got, same)
		}
	})
}

func TestDigestIsAsDocumented(t *testing.T) {
	// printf 'd\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\2xyb\0\0\0\0\0\0\0\1c\0\0\0\0\0\0\0\1z' | sha256sum
	const want = "e44a799a94e9bd3ee607c524d6fe7274ed6925b62b1866ab661cfb15cafee175"
	if got := Digest(map[string]string{"a": "xy"}, map[string][]byte{"c": []byte("z")}); got != want {
		t.Errorf("Digest = %s, want %s", got, want)
	}
}

func TestSummaryOfNothing(t *testing.T) {
	if _, err := (&Object{}).Summary(); err == nil {
		t.Error("no error")
	}
}

func FuzzVerify(f *testing.F) {
	run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "hello\n"))
	f.Add(build(f, run).Data[api.DataJobJSON])
	f.Add(`{"schema":"job-handler/v1","job":{"uid":"` + jobUID + `"},"pods":[null,{"uid":7}],"omitted":{"pods":-1}}`)
	f.Add(strings.Repeat("[", 20000))
	f.Add(`{"schema":"job-handler/v1","pods":[{}` + strings.Repeat(",{}", 1<<16) + `]}`)
	f.Add(`{"schema":"job-handler/v1","job":{"uid":"` + jobUID + `"},"pods":[{"uid":"a"}` + strings.Repeat(`,{"uid":"a"}`, 1<<14) + `]}`)
	f.Fuzz(func(t *testing.T, jobJSON string) {
		o := build(t, run).Object(api.ResultsKindConfigMap, "batch", "report-results")
		o.Data[api.DataJobJSON] = jobJSON
		if err := o.Verify(run.Job, nil); jobJSON != build(t, run).Data[api.DataJobJSON] && !errors.Is(err, ErrDamaged) {
			t.Fatalf("changed job.json: %v", err)
		}
		reseal(o)
		if err := o.Verify(run.Job, uidsOf(run.Pods)); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("resealed: %v", err)
		}
		within(t, len(jobJSON), func() { _ = verifyRecord(jobJSON, run.Job, nil) })
		within(t, len(jobJSON), func() { _, _ = o.Summary() })
	})
}
