package policy

import (
	"encoding/json"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// FuzzMetadata reads the labels and annotations of a Job, a Namespace or a
// CronJob's template, whatever their keys and values are.
func FuzzMetadata(f *testing.F) {
	f.Add(api.EnabledLabel, "true", api.EnabledAnnotation, "false")
	f.Add(api.Prefix+"log_mode", "full", api.Prefix, "\x00\x1b[0m\u202e")
	f.Add(api.Prefix+strings.Repeat("é", 300), strings.Repeat("\xff", 1<<10), "job-handler\uff0fenabled", "tr\u0443e")
	f.Fuzz(func(t *testing.T, label, labelValue, annotation, value string) {
		meta := metav1.ObjectMeta{Labels: annotations{label: labelValue}, Annotations: annotations{annotation: value}}
		wish, problems := JobOptIn(&meta)
		namespaceWish, _ := NamespaceOptIn(&meta)
		if wish != namespaceWish {
			t.Fatalf("a Job says %v and a Namespace %v", wish, namespaceWish)
		}
		if own := labelValue == api.True && label == api.EnabledLabel || value == api.True && annotation == api.EnabledAnnotation; wish == In && !own {
			t.Fatalf("opted in by %q=%q, %q=%q", label, labelValue, annotation, value)
		}
		template := &batchv1.JobTemplateSpec{ObjectMeta: meta}
		problems = append(problems, ValidateJobTemplate(template, Defaults{PropagatableLabels: []string{"a*"}})...)
		told := KeyWarnings(&meta)
		for _, problem := range problems {
			told = append(told, problem.Error())
		}
		for _, text := range told {
			if strings.ContainsAny(text, "\x1b\u202e\x00") && !strings.ContainsAny(label+annotation, "\x1b\u202e\x00") {
				t.Fatalf("%q repeats %q", text, value)
			}
		}
		Tracked(&meta, LeftAlone{})
		Hook(&meta)
	})
}

// FuzzStripForged holds that whatever a Job brings, none of it passes for what
// the manager writes.
func FuzzStripForged(f *testing.F) {
	f.Add([]byte(`{"metadata":{"name":"a","annotations":{"job-handler/status":"completed","job-handler/ttl-seconds-after-finished":"5"}},"spec":{"ttlSecondsAfterFinished":3600}}`))
	f.Add([]byte(`{"metadata":{"annotations":{"job-handler/capture":"","job-handler/ttl-seconds-after-finished":"-0"}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		job := &batchv1.Job{}
		if json.Unmarshal(raw, job) != nil {
			return
		}
		StripForged(job, floor, LeftAlone{})
		Stamp(job, floor, true, LeftAlone{})
		if has(job.Annotations, api.StatusAnnotation) || has(job.Annotations, api.CaptureAnnotation) {
			t.Fatalf("left: %v", job.Annotations)
		}
		if record, ok := recordOf(job); ok && (record.own < 0 || record.own >= seconds(floor)) {
			t.Fatalf("a TTL of %d is recorded as raised to %v", record.own, floor)
		}
		if job.Labels[api.EnabledLabel] != api.True || job.Spec.Template.Labels[api.EnabledLabel] != api.True {
			t.Fatal("not stamped")
		}
	})
}

// FuzzValidatePropagatable holds that a pattern which is taken allows label keys
// only, and none of ours.
func FuzzValidatePropagatable(f *testing.F) {
	f.Add("team/*", "team/a")
	f.Add("*", "job-name")
	f.Add("job-handler/*", "job-handler/created")
	f.Fuzz(func(t *testing.T, pattern, key string) {
		if ValidatePropagatable(pattern) != nil {
			return
		}
		if rule := propagationRule(key, []string{pattern}); rule == "" && (strings.HasPrefix(key, api.Prefix) || key == api.JobNameLabel) {
			t.Fatalf("%q allows %q", pattern, key)
		}
	})
}
