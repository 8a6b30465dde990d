package results

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
)

// says has the container that was added last leave a termination message.
func (p Pod) says(message string) Pod {
	statuses := p.Pod.Status.ContainerStatuses
	statuses[len(statuses)-1].State.Terminated.Message = message
	return p
}

// index gives the pod its completion index.
func (p Pod) index(i string) Pod {
	p.Pod.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: i}
	return p
}

func indexed(run Run) Run {
	run.Job.Spec.CompletionMode = new(batchv1.IndexedCompletion)
	return run
}

// ownData returns the values of data that are not of Job Handler.
func ownData(content *Content) map[string]string {
	data := maps.Clone(content.Data)
	maps.DeleteFunc(data, func(key, _ string) bool { return slices.Contains(ownKeys, key) })
	return data
}

func TestOwnResults(t *testing.T) {
	one := func(name string, seconds int, message string) Pod {
		return podAt(name, seconds).with("main", exited(0), "log\n").says(message)
	}
	tests := map[string]struct {
		run    Run
		want   map[string]string
		record *OwnRecord
	}{
		"none": {run: completedRun(one("a", 1, "")), want: map[string]string{}},
		"text": {run: completedRun(one("a", 1, "all well")), want: map[string]string{}},
		"one container": {
			run:    completedRun(one("a", 1, `{"records-processed": "1,234,567", "b": 1.0}`)),
			want:   map[string]string{"records-processed": "1,234,567", "b": "1.0"},
			record: &OwnRecord{DataKeys: []string{"b", "records-processed"}},
		},
		"an empty value": {
			run: completedRun(one("a", 1, "error=")), want: map[string]string{"error": ""},
			record: &OwnRecord{DataKeys: []string{"error"}},
		},
		"values as they are": {
			run: completedRun(one("a", 1, `{"a": "\u001b[31m\r\n"}`)), want: map[string]string{"a": "\x1b[31m\r\n"},
			record: &OwnRecord{DataKeys: []string{"a"}},
		},
		"one of several containers": {
			run:  completedRun(podAt("a", 1).with("main", exited(0), "").says("n=1").with("proxy", exited(0), "").says("bye")),
			want: map[string]string{"n": "1"}, record: &OwnRecord{DataKeys: []string{"n"}},
		},
		"a container that failed": {
			run: failedRun(podAt("a", 1).with("main", exited(1), "").says("n=1")), want: map[string]string{},
		},
		"several containers": {
			run:  completedRun(podAt("a", 1).with("main", exited(0), "").says("n=1").with("side", exited(0), "").says("n=2")),
			want: map[string]string{"a.main.n": "1", "a.side.n": "2"}, record: &OwnRecord{DataKeys: []string{"a.main.n", "a.side.n"}},
		},
		"several pods": {
			run:  completedRun(one("b", 1, "n=1"), one("a", 2, "logs=2")),
			want: map[string]string{"b.main.n": "1", "a.main.logs": "2"}, record: &OwnRecord{DataKeys: []string{"a.main.logs", "b.main.n"}},
		},
		"a retry": {
			run: completedRun(
				podAt("a", 1).with("init", exited(0), "").says("n=1").with("main", exited(1), ""),
				podAt("b", 2).with("init", exited(0), "").says("n=2").with("main", exited(0), "")),
			want: map[string]string{"n": "2"},
			record: &OwnRecord{DataKeys: []string{"n"}, LeftOut: []OwnLeftOut{
				{Pod: "a", Container: "init", Key: "n", Bytes: 1, Reason: OwnFailedAttempt},
			}},
		},
		"failed pods alone": {
			run:  failedRun(podAt("a", 1).with("init", exited(0), "").says("n=1").with("main", exited(1), "")),
			want: map[string]string{"n": "1"}, record: &OwnRecord{DataKeys: []string{"n"}},
		},
		"indexed": {
			run:  indexed(completedRun(one("b", 1, "n=1").index("10"), one("a", 2, "n=2").index("9"))),
			want: map[string]string{"10.n": "1", "9.n": "2"}, record: &OwnRecord{DataKeys: []string{"10.n", "9.n"}},
		},
		"indexed, one reports": {
			run:  indexed(completedRun(one("b", 1, "n=1").index("3"), one("a", 2, "").index("9"))),
			want: map[string]string{"3.n": "1"}, record: &OwnRecord{DataKeys: []string{"3.n"}},
		},
		"indexed, an index twice": {
			run:  indexed(completedRun(one("b", 1, "n=1\nm=1").index("3"), one("c", 2, "n=2").index("3"))),
			want: map[string]string{"3.n": "1", "3.m": "1"},
			record: &OwnRecord{DataKeys: []string{"3.m", "3.n"}, LeftOut: []OwnLeftOut{
				{Pod: "c", Container: "main", Key: "n", Bytes: 1, Reason: OwnKeyTaken},
			}},
		},
		"indexed, failed for good at one index": {
			run: indexed(failedRun(one("b", 1, "n=1").index("0"),
				podAt("c", 2).with("init", exited(0), "").says("n=2").with("main", exited(1), "").index("1"))),
			want: map[string]string{"0.n": "1", "1.n": "2"}, record: &OwnRecord{DataKeys: []string{"0.n", "1.n"}},
		},
		"indexed, several containers": {
			run: indexed(completedRun(one("b", 1, "n=1").index("0"),
				podAt("c", 2).with("main", exited(0), "").says("n=2").with("side", exited(0), "").says("n=3").index("1"))),
			want:   map[string]string{"0.main.n": "1", "1.main.n": "2", "1.side.n": "3"},
			record: &OwnRecord{DataKeys: []string{"0.main.n", "1.main.n", "1.side.n"}},
		},
		"an index without an Indexed Job": {
			run: completedRun(one("b", 1, "n=1").index("0")), want: map[string]string{"n": "1"},
			record: &OwnRecord{DataKeys: []string{"n"}},
		},
		"an indexed Job without an index": {
			run:  indexed(completedRun(one("b", 1, "n=1").index("x"))),
			want: map[string]string{"n": "1"}, record: &OwnRecord{DataKeys: []string{"n"}},
		},
		"reserved and invalid keys": {
			run: completedRun(one("a", 1, `{"logs": "mine", "logs.gz": 1, "result.logs": "x", "größe": 1, "a_b": 2, "a/b_c": 3, "": 4, "..": 5, "job-handler": 6}`)),
			want: map[string]string{
				"result.logs": "mine", "result.logs.gz": "1", "result.result.logs": "x", "result.gr_C3_B6_C3_9Fe": "1",
				"a_b": "2", "result.a_2Fb_5Fc": "3", "result.": "4", "result...": "5", "result.job-handler": "6",
			},
			record: &OwnRecord{
				DataKeys: []string{
					"a_b", "result.", "result...", "result.a_2Fb_5Fc", "result.gr_C3_B6_C3_9Fe", "result.job-handler",
					"result.logs", "result.logs.gz", "result.result.logs",
				},
				Renamed: map[string]string{
					"result.": "", "result...": "..", "result.a_2Fb_5Fc": "a/b_c", "result.gr_C3_B6_C3_9Fe": "größe",
					"result.job-handler": "job-handler", "result.logs": "logs", "result.logs.gz": "logs.gz", "result.result.logs": "result.logs",
				},
			},
		},
		"a key too long": {
			run:  completedRun(one("a", 1, "n=1\n"+strings.Repeat("k", 254)+"=2")),
			want: map[string]string{"n": "1"},
			record: &OwnRecord{DataKeys: []string{"n"}, LeftOut: []OwnLeftOut{{
				Pod: "a", Container: "main", Key: line(strings.Repeat("k", 254)), Bytes: 1, Reason: OwnKeyTooLong,
			}}},
		},
		"names that run together": {
			run:  completedRun(one("a.main", 1, "n=1"), one("a", 2, "main.n=2\nx=y")),
			want: map[string]string{"a.main.main.n": "1", "a.main.x": "y"},
			record: &OwnRecord{DataKeys: []string{"a.main.main.n", "a.main.x"}, LeftOut: []OwnLeftOut{
				{Pod: "a", Container: "main", Key: "main.n", Bytes: 1, Reason: OwnKeyTaken},
			}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			content := build(t, tc.run)
			checkContent(t, &tc.run, content)
			if diff := cmp.Diff(tc.want, ownData(content)); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.record, readRecord(t, content).OwnResults); diff != "" {
				t.Errorf("job.json (-want +got):\n%s", diff)
			}
			if err := content.Object(api.ResultsKindConfigMap, "batch", "x-results").Verify(tc.run.Job, uidsOf(tc.run.Pods)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Everything that is reported is stored under a key, named or counted.
func TestOwnResultsThatDoNotFit(t *testing.T) {
	for _, limit := range []int{0, 256 << 10, MinBytes} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			run := indexed(completedRun())
			run.MaxBytes = limit
			for i := range 1000 {
				message := fmt.Sprintf("rows=%d\nlocation=s3://bucket/%s\nnote=%s", i, strings.Repeat("x", 100), strings.Repeat("y", i%200))
				run.Pods = append(run.Pods, podAt(fmt.Sprintf("p-%d", i), i).with("main", exited(0), "log\n").says(message).index(strconv.Itoa(i)))
			}
			content := build(t, run)
			checkContent(t, &run, content)
			record, stored := readRecord(t, content).OwnResults, 0
			for key, value := range ownData(content) {
				stored += len(key) + len(value)
			}
			if stored > maxOwnBytes {
				t.Errorf("%d bytes", stored)
			}
			if limit == 0 && stored < maxOwnBytes-200 {
				t.Errorf("only %d bytes used", stored)
			}
			if got := len(record.DataKeys) + len(record.LeftOut) + record.MoreLeftOut; got != 3000 {
				t.Errorf("%d of 3,000 accounted for", got)
			}
			if limit == 0 && len(record.LeftOut) != maxOwnNotes {
				t.Errorf("%d named", len(record.LeftOut))
			}
			if record.LeftOut[0].Reason != OwnNoRoom {
				t.Errorf("%+v", record.LeftOut[0])
			}
		})
	}
}

// reporting has every pod of an Indexed Job report 20 results, as much as the
// kubelet keeps of them.
func reporting(run Run) Run {
	for i, pod := range run.Pods {
		values := map[string]string{}
		for n := range 20 {
			values[fmt.Sprintf("result-%02d", n)] = strings.Repeat("x", 180)
		}
		message, _ := json.Marshal(values)
		run.Pods[i] = pod.says(string(message)).index(strconv.Itoa(i))
	}
	return indexed(run)
}

// However many pods report, what is stored of it is bounded, and the rest is
// counted.
func TestOwnResultsOfTenThousandPods(t *testing.T) {
	run := reporting(largeRun(10_000))
	content := build(t, run)
	checkContent(t, &run, content)
	record := readRecord(t, content)
	// The failed pods, 10 of them, report nothing.
	if got := len(record.OwnResults.DataKeys) + len(record.OwnResults.LeftOut) + record.OwnResults.MoreLeftOut; got != 9990*20 {
		t.Errorf("%d of 199,800 accounted for", got)
	}
	if got := len(record.Pods); got < 100 {
		t.Errorf("only %d pods in detail", got)
	}
	if got := len(content.Data[api.DataLogs]); got < 200<<10 {
		t.Errorf("only %d bytes of logs", got)
	}
}

func TestMessagesThatAreNoReportsAreWhole(t *testing.T) {
	run := completedRun()
	text := `{"nested": {"rows": [` + strings.Repeat("1,", 1900) + `1]}}`
	for i := range 100 {
		message := ""
		if i%10 == 3 {
			message = text
		}
		run.Pods = append(run.Pods, podAt(fmt.Sprintf("p-%d", i), i).with("main", exited(0), "log\n").says(message))
	}
	for i, pod := range readRecord(t, build(t, run)).Pods {
		want := ""
		if i%10 == 3 {
			want = text
		}
		if got := pod.Containers[0].State.Message; got != want {
			t.Errorf("pod %d: %d bytes, want %d", i, len(got), len(want))
		}
	}
}

// Every key of ours is reserved, so that no value of ours is ever replaced.
func TestOurKeysAreReserved(t *testing.T) {
	text, err := os.ReadFile("../api/keys.go")
	if err != nil {
		t.Fatal(err)
	}
	keys := regexp.MustCompile(`(?m)^\tData\w+ = "(.+)"$`).FindAllStringSubmatch(string(text), -1)
	if len(keys) < 12 {
		t.Fatalf("found %d keys only", len(keys))
	}
	for _, match := range keys {
		if !reserved(match[1]) {
			t.Errorf("%s is not reserved", match[1])
		}
	}
}

func TestOwnKeysAreValidAndApart(t *testing.T) {
	name := rapid.OneOf(rapid.String(), rapid.StringMatching(`(result\.)?[-._/a-z]{0,5}`), rapid.SampledFrom(ownKeys),
		rapid.Map(rapid.StringMatching(`(_[0-9A-F]{2}|/){0,3}`), func(s string) string { return "result." + s }))
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		key, renamed := ownKey(a)
		if len(key) <= maxKey {
			if problems := validation.IsConfigMapKey(key); len(problems) > 0 {
				t.Fatalf("%q becomes %q: %v", a, key, problems)
			}
		}
		if slices.Contains(ownKeys, key) || renamed != (key != a) {
			t.Fatalf("%q becomes %q, renamed %v", a, key, renamed)
		}
		if other, _ := ownKey(b); (other == key) != (a == b) {
			t.Fatalf("%q becomes %q, %q becomes %q", a, key, b, other)
		}
	})
}

func drawMessage(t *rapid.T) string {
	return rapid.OneOf(
		rapid.Just(""),
		rapid.Custom(func(t *rapid.T) string { return drawText(t, "text") }),
		rapid.Map(rapid.MapOf(rapid.String(), rapid.String()), func(m map[string]string) string {
			text, _ := json.Marshal(m)
			return string(text)
		}),
		rapid.Map(rapid.SliceOfN(rapid.StringMatching(`[a-z/]{1,2}=.{0,20}`), 0, 500), func(lines []string) string {
			return strings.Join(lines, "\n")
		}),
	).Draw(t, "message")
}
