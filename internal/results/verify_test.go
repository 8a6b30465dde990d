package results

import (
	"errors"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
)

// reseal makes the annotations of cm agree with its content again.
func reseal(cm *corev1.ConfigMap) {
	cm.Annotations[api.SHA256Annotation] = Digest(cm.Data, cm.BinaryData)
}

func replaceJSON(cm *corev1.ConfigMap, from, to string) {
	cm.Data[api.DataJobJSON] = strings.ReplaceAll(cm.Data[api.DataJobJSON], from, to)
	reseal(cm)
}

func TestVerify(t *testing.T) {
	tests := map[string]struct {
		change func(cm *corev1.ConfigMap, job *batchv1.Job)
		pods   []types.UID
		want   error
	}{
		"this run":               {},
		"with its pod":           {pods: []types.UID{"uid-of-report-abc12"}},
		"user added a label":     {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { cm.Labels["team"] = "x" }},
		"not labelled":           {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { cm.Labels = nil }, want: ErrStranger},
		"created=yes":            {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { cm.Labels[api.CreatedLabel] = "yes" }, want: ErrStranger},
		"mutable":                {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { cm.Immutable = nil }, want: ErrStranger},
		"immutable: false":       {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { cm.Immutable = new(bool) }, want: ErrStranger},
		"captures":               {change: func(cm *corev1.ConfigMap, j *batchv1.Job) { cm.Labels[api.CaptureOfLabel] = string(j.UID) }, want: ErrStranger},
		"no UID":                 {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { delete(cm.Labels, api.JobUIDLabel) }, want: ErrStranger},
		"no UID on both sides":   {change: func(cm *corev1.ConfigMap, j *batchv1.Job) { cm.Labels[api.JobUIDLabel], j.UID = "", "" }, want: ErrStranger},
		"earlier run":            {change: func(_ *corev1.ConfigMap, j *batchv1.Job) { j.UID = "another" }, want: ErrEarlierRun},
		"another Job":            {change: func(_ *corev1.ConfigMap, j *batchv1.Job) { j.UID, j.Name = "another", "other" }, want: ErrStranger},
		"no digest":              {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { cm.Annotations = nil }, want: ErrDamaged},
		"a key more":             {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { cm.Data["x"] = "" }, want: ErrDamaged},
		"a key less":             {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { delete(cm.Data, api.DataStatus) }, want: ErrDamaged},
		"binary data":            {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { cm.BinaryData = map[string][]byte{"x": nil} }, want: ErrDamaged},
		"no job.json":            {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { delete(cm.Data, api.DataJobJSON); reseal(cm) }, want: ErrDamaged},
		"job.json is not JSON":   {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { replaceJSON(cm, "{", "[") }, want: ErrDamaged},
		"another schema":         {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { replaceJSON(cm, api.SchemaV1, "v9") }, want: ErrDamaged},
		"about another UID":      {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { replaceJSON(cm, jobUID, "another") }, want: ErrDamaged},
		"a pod that it lacks":    {pods: []types.UID{"uid-of-report-abc12", "unknown"}, want: ErrDamaged},
		"more than it left out":  {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { replaceJSON(cm, `"pods": 0`, `"pods": 1`) }, pods: []types.UID{"a", "b"}, want: ErrDamaged},
		"as many as it left out": {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { replaceJSON(cm, `"pods": 0`, `"pods": 2`) }, pods: []types.UID{"a", "b"}},
		"empty object":           {change: func(cm *corev1.ConfigMap, _ *batchv1.Job) { *cm = corev1.ConfigMap{} }, want: ErrStranger},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "hello\n"))
			cm, job := build(t, run).ConfigMap("batch", "report-results"), run.Job.DeepCopy()
			if tc.change != nil {
				tc.change(cm, job)
			}
			if err := Verify(cm, job, tc.pods); !errors.Is(err, tc.want) {
				t.Errorf("Verify: %v, want %v", err, tc.want)
			}
		})
	}
}

func TestVerifyFindsEveryByte(t *testing.T) {
	run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "hello\n"))
	cm := build(t, run).ConfigMap("batch", "report-results")
	for key, value := range cm.Data {
		for i := range len(value) {
			flipped := []byte(value)
			flipped[i] ^= 1
			cm.Data[key] = string(flipped)
			if err := Verify(cm, run.Job, nil); !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d of %s flipped: %v", i, key, err)
			}
		}
		cm.Data[key] = value
	}
	if err := Verify(cm, run.Job, nil); err != nil {
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

func TestCaptureOfHostile(t *testing.T) {
	if _, err := CaptureOf(&corev1.ConfigMap{}); err == nil {
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
		cm := build(t, run).ConfigMap("batch", "report-results")
		cm.Data[api.DataJobJSON] = jobJSON
		if err := Verify(cm, run.Job, nil); jobJSON != build(t, run).Data[api.DataJobJSON] && !errors.Is(err, ErrDamaged) {
			t.Fatalf("changed job.json: %v", err)
		}
		reseal(cm)
		if err := Verify(cm, run.Job, uidsOf(run.Pods)); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("resealed: %v", err)
		}
		within(t, len(jobJSON), func() { _ = verifyRecord(jobJSON, run.Job, nil) })
		within(t, len(jobJSON), func() { _, _ = CaptureOf(cm) })
	})
}
