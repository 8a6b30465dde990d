package results

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/boundedjson"
)

func readRecord(t testing.TB, content *Content) Record {
	t.Helper()
	return readAny(t, content)
}

// readAny refuses fields that the types, and so the schema, do not have.
func readAny(t interface{ Fatalf(string, ...any) }, content *Content) Record {
	var record Record
	decoder := json.NewDecoder(strings.NewReader(content.Data[api.DataJobJSON]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&record); err != nil {
		t.Fatalf("job.json: %v", err)
	}
	// What reads it back must have memory to spare.
	var again Record
	size := int64(len(content.Data[api.DataJobJSON]))
	err := boundedjson.NewDecoder(strings.NewReader(content.Data[api.DataJobJSON]), size).Decode(&again, size*boundedjson.Ratio/2)
	if diff := cmp.Diff(record, again); err != nil || diff != "" {
		t.Fatalf("job.json: %v (-want +got):\n%s", err, diff)
	}
	return record
}

// drawText draws what users and programs may write anywhere.
func drawText(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.String(),
		rapid.Just(""),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 200), func(b []byte) string { return string(b) }),
		rapid.Map(rapid.IntRange(0, 6000), func(n int) string { return strings.Repeat("\x1b\"", n) }),
	).Draw(t, label)
}

func drawState(t *rapid.T) corev1.ContainerState {
	switch rapid.IntRange(0, 3).Draw(t, "state") {
	case 0:
		state := exited(rapid.SampledFrom([]int32{0, 0, 1, -1, 137}).Draw(t, "exitCode"))
		state.Terminated.Reason, state.Terminated.Message = drawText(t, "reason"), drawMessage(t)
		return state
	case 1:
		return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(rapid.IntRange(-9, 9).Draw(t, "at"))}}
	case 2:
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: drawText(t, "reason"), Message: drawText(t, "message")}}
	default:
		return corev1.ContainerState{}
	}
}

func drawLog(t *rapid.T, container string, previous bool) ContainerLog {
	l := ContainerLog{Container: container, Previous: previous, Capture: Capture{
		Complete: rapid.Bool().Draw(t, "complete"), Reason: drawText(t, "reason"),
		Message: drawText(t, "message"), Retryable: rapid.Bool().Draw(t, "retryable"),
	}}
	if rapid.Bool().Draw(t, "read") {
		piece := rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "piece")
		l.Text = buffer(strings.Repeat(string(piece), rapid.IntRange(0, 5000).Draw(t, "times")), rapid.IntRange(0, 1<<17).Draw(t, "capacity"))
	}
	return l
}

func drawRun(t *rapid.T) Run {
	run := completedRun()
	if rapid.Bool().Draw(t, "failed") {
		run = failedRun()
	}
	run.Outcome.Reason, run.Outcome.Message = drawText(t, "reason"), drawText(t, "message")
	run.MissingPods = rapid.IntRange(0, 3).Draw(t, "missing")
	run.PerhapsMissingPods = rapid.IntRange(0, 3).Draw(t, "perhaps missing")
	if rapid.Bool().Draw(t, "indexed") {
		run.Job.Spec.CompletionMode = new(batchv1.IndexedCompletion)
	}
	run.LogMode = rapid.SampledFrom([]string{api.LogModeFull, api.LogModeStatus}).Draw(t, "logMode")
	run.MaxBytes = rapid.SampledFrom([]int{0, 1, MinBytes, 50_000, 300_000, 2 << 20}).Draw(t, "maxBytes")
	run.MaxLogBytes = rapid.SampledFrom([]int{0, 0, 1, 16 << 10}).Draw(t, "maxLogBytes")
	for i := range rapid.IntRange(0, 12).Draw(t, "pods") {
		pod := podAt(fmt.Sprintf("pod-%02d", i), rapid.IntRange(0, 5).Draw(t, "age"))
		pod.Pod.Status.Message = drawText(t, "message")
		pod.Pod.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: rapid.StringMatching(`[0-9]?`).Draw(t, "index")}
		for _, name := range []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(t, "containers")] {
			pod = pod.with(name, drawState(t), "")
			status := &pod.Pod.Status.ContainerStatuses[len(pod.Pod.Status.ContainerStatuses)-1]
			status.RestartCount = rapid.Int32().Draw(t, "restarts")
			pod.Logs[len(pod.Logs)-1] = drawLog(t, name, false)
			if rapid.Bool().Draw(t, "previous") {
				status.LastTerminationState = exited(1)
				pod.Logs = append(pod.Logs, drawLog(t, name, true))
			}
			for range rapid.IntRange(0, 2).Draw(t, "earlier") {
				earlier := drawLog(t, name, false)
				earlier.InstanceID, earlier.Earlier = drawText(t, "id"), &Instance{
					Restart: rapid.Int32Min(UnknownRestart).Draw(t, "restart"), End: drawState(t).Terminated,
				}
				pod.Logs = append(pod.Logs, earlier)
			}
		}
		run.Pods = append(run.Pods, pod)
	}
	return run
}

// checkContent fails if content breaks what Build promises of every content.
func checkContent(t interface{ Fatalf(string, ...any) }, run *Run, content *Content) {
	if limit := run.limit(); content.Bytes() > limit {
		t.Fatalf("%d bytes, limit %d", content.Bytes(), limit)
	}
	for key, value := range content.Data {
		if !slices.Contains(ownKeys, key) {
			continue
		}
		if value == "" || !utf8.ValidString(value) || strings.IndexFunc(value, steers) >= 0 {
			t.Fatalf("%s is empty or not readable: %q", key, value)
		}
	}
	if !strings.HasSuffix(content.Data[api.DataLogs], "\n") {
		t.Fatalf("logs do not end with a newline")
	}
	if s := content.Capture.String(); len(s) > maxSummary || !utf8.ValidString(s) || strings.ContainsAny(s, "\n\t") {
		t.Fatalf("capture %q", s)
	}
	record := readAny(t, content)
	if err := conforms(content.Data[api.DataJobJSON]); err != nil {
		t.Fatalf("job.json does not conform to its schema: %v", err)
	}
	containers := 0
	for _, p := range record.Pods {
		containers += len(p.Containers)
		for _, c := range p.Containers {
			if c.Capture.BytesKept > c.Capture.BytesSeen || c.Capture.Complete && c.Capture.BytesKept < c.Capture.BytesSeen {
				t.Fatalf("capture %+v", c.Capture)
			}
		}
	}
	if len(record.Pods)+record.Omitted.Pods != len(run.Pods) || containers > maxDetailed {
		t.Fatalf("%d pods with %d containers recorded, %+v omitted, of %d", len(record.Pods), containers, record.Omitted, len(run.Pods))
	}
}

// steers reports whether r could steer a terminal or deceive a reader.
func steers(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp))
}

func uidsOf(pods []Pod) []types.UID {
	var uids []types.UID
	for _, p := range pods {
		uids = append(uids, p.Pod.UID)
	}
	return uids
}

func TestBuildOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := drawRun(t)
		content, err := Build(run)
		if err != nil {
			t.Fatalf("Build: %v", err)
		}
		checkContent(t, &run, content)
		again, _ := Build(run)
		if diff := cmp.Diff(content, again); diff != "" {
			t.Fatalf("built again (-first +second):\n%s", diff)
		}
		o := content.Object(api.ResultsKindConfigMap, "batch", "report-results")
		if err := o.Verify(run.Job, uidsOf(run.Pods)); err != nil {
			t.Fatalf("Verify: %v", err)
		}
		if summary, err := o.Summary(); err != nil || summary != content.Capture {
			t.Fatalf("Summary = %+v, %v, want %+v", summary, err, content.Capture)
		}
		if before := Summarize(run); before.Retryable != content.Capture.Retryable || before.Complete && !run.fits(content) {
			t.Fatalf("Summarize said retryable=%t %s, Build retryable=%t %s", before.Retryable, before, content.Capture.Retryable, content.Capture)
		}
	})
}

// fits reports whether an incomplete capture comes from shortening alone.
func (run *Run) fits(content *Content) bool {
	return content.Capture.Complete || strings.HasPrefix(content.Capture.Why, run.shortReason())
}

// largeRun returns a failed run of n pods that wrote 2 KiB each, of which every
// 1,000th failed.
func largeRun(n int) Run {
	log := numbered(90)
	run := failedRun()
	for i := range n {
		code := int32(0)
		if i%1000 == 7 {
			code = 1
		}
		pod := podAt(fmt.Sprintf("report-%05d", i), i/10).with("main", exited(code), "")
		pod.Logs = []ContainerLog{{Container: "main", Text: buffer(log, 1<<10), Capture: Capture{Complete: true}}}
		run.Pods = append(run.Pods, pod)
	}
	return run
}

func TestBuildOfTenThousandPods(t *testing.T) {
	run := largeRun(10_000)
	content := build(t, run)
	checkContent(t, &run, content)
	record := readRecord(t, content)
	if got := len(record.Pods); got != maxDetailed {
		t.Errorf("%d pods in detail, want %d", got, maxDetailed)
	}
	if want := (OmittedRecords{Pods: 9500, Containers: 9500}); record.Omitted != want {
		t.Errorf("omitted %+v, want %+v", record.Omitted, want)
	}
	for i := 7; i < 10_000; i += 1000 {
		name := fmt.Sprintf("pod report-%05d, container main", i)
		for _, key := range []string{api.DataLogs, api.DataContainers} {
			if !strings.Contains(content.Data[key], name) {
				t.Errorf("the failed %s is not in %s", name, key)
			}
		}
	}
	if !strings.Contains(content.Data[api.DataContainers], "[job-handler: 9,500 containers more left out here]\n") {
		t.Error("containers does not count the rest")
	}
	if !strings.Contains(content.Data[api.DataLogs], " logs more left out here]\n") {
		t.Error("logs does not count the rest")
	}
	if content.Bytes() < api.MaxResultsBytes*95/100 {
		t.Errorf("only %d bytes used", content.Bytes())
	}
	if err := content.Object(api.ResultsKindConfigMap, "batch", "report-results").Verify(run.Job, uidsOf(run.Pods)); err != nil {
		t.Error(err)
	}
}

func TestDetailsLeaveRoomForLogs(t *testing.T) {
	run := failedRun()
	for i := range 600 {
		pod := podAt(fmt.Sprintf("report-%05d", i), i).with("main", exited(1), "log\n")
		pod.Pod.Spec.Containers[0].Image = strings.Repeat("registry/", 60)
		pod.Pod.Status.ContainerStatuses[0].State.Terminated.Message = strings.Repeat("why? ", 800)
		run.Pods = append(run.Pods, pod)
	}
	content := build(t, run)
	checkContent(t, &run, content)
	if got := len(content.Data[api.DataContainers]) + len(content.Data[api.DataJobJSON]); got > maxDetailBytes+16<<10 {
		t.Errorf("containers and job.json take %d bytes", got)
	}
	if omitted := readRecord(t, content).Omitted.Containers; omitted <= 100 {
		t.Errorf("%d containers omitted, want more than what the count of them says", omitted)
	}
}
