package results

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/boundedjson"
	"github.com/job-handler/job-handler/internal/jobtest/allocated"
)

// FuzzBuildOfPods builds results of pods in any state: their status is written
// by kubelets, and by whoever may write it.
func FuzzBuildOfPods(f *testing.F) {
	whole, err := json.Marshal(podAt("a", 1).with("main", exited(1), "log\n").Pod)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, whole)
	f.Add([]byte(`{"status":{"containerStatuses":[{"name":"","restartCount":-7,"state":{"terminated":{}}},{"name":""}]}}`),
		[]byte(`{"metadata":{"name":"a","creationTimestamp":"9999-01-01T00:00:00Z"},"spec":{"containers":[{"name":"main"},{"name":"main"}]},
			"status":{"initContainerStatuses":[{"name":"main","lastState":{"terminated":{"exitCode":-1,"signal":-1,"message":"{\"a\":1}"}}}]}}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		run := failedRun()
		for _, raw := range [][]byte{first, second} {
			pod := &corev1.Pod{}
			if json.Unmarshal(raw, pod) != nil {
				return
			}
			run.Pods = append(run.Pods, Pod{Pod: pod, Logs: []ContainerLog{{Container: "main", Text: buffer("log\n", 100)}}})
		}
		run.MaxBytes = MinBytes
		content := build(t, run)
		if content.Bytes() > MinBytes {
			t.Fatalf("%d bytes", content.Bytes())
		}
		for key := range content.Data {
			if problems := validation.IsConfigMapKey(key); len(problems) > 0 {
				t.Fatalf("key %q: %v", key, problems)
			}
		}
		if err := content.Object(api.ResultsKindConfigMap, "batch", "report-results").Verify(run.Job, uidsOf(run.Pods)); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzParts reads lists of parts, and parts, that somebody made up.
func FuzzParts(f *testing.F) {
	f.Add(`{"key":"logs.gz","bytes":3,"sha256":"x","parts":[{"name":"a-part-0","bytes":3,"sha256":"x"}]}`, []byte("abc"), "0")
	f.Add(`{"key":"logs.gz","parts":[{"name":"../../kube-system/x"},{"name":"a/b"}]} trailing`, []byte(nil), "")
	f.Add(`{"key":"logs.gz","parts":[null,{"bytes":-1}]}`, []byte{0x1f, 0x8b}, "-1")
	f.Add(`{"parts":[{}`+strings.Repeat(`,{}`, 1<<16)+`]}`, []byte(nil), "")
	run := completedRun(podAt("a", 1).with("main", exited(0), "log\n"))
	f.Fuzz(func(t *testing.T, listing string, held []byte, number string) {
		var list *PartList
		var err error
		within(t, len(listing), func() { list, err = (&Object{Data: map[string]string{api.DataParts: listing}}).Parts() })
		if err != nil {
			if !errors.Is(err, ErrDamaged) || list != nil {
				t.Fatalf("%v, %v", list, err)
			}
			return
		}
		if len(list.Parts) == 0 || len(list.Parts) > mostParts {
			t.Fatalf("%d parts", len(list.Parts))
		}
		for _, record := range list.Parts {
			if len(validation.IsDNS1123Subdomain(record.Name)) > 0 {
				t.Fatalf("a part called %q", record.Name)
			}
			o := build(t, run).Object(api.ResultsKindConfigMap, "batch", record.Name)
			o.BinaryData = map[string][]byte{api.DataLogsGzip: held}
			if err := o.VerifyPart(run.Job, record); err == nil {
				t.Fatal("results pass for a part")
			}
			o.Labels[api.PartLabel] = number
			if err := o.VerifyPart(run.Job, record); err == nil && hexSHA256(held) != record.SHA256 {
				t.Fatal("a part with other bytes")
			}
		}
	})
}

// within has f allocate no more memory than is in proportion to an input of this size.
func within(t *testing.T, size int, f func()) {
	t.Helper()
	if took := allocated.By(f); took > 2*boundedjson.Ratio*int64(size)+64<<10 {
		t.Errorf("%d bytes allocated for %d", took, size)
	}
}
