package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultsview"
)

var _ = Describe("logs", func() {
	const text = "line 1\nline 2\n\x1b[1mline 3"

	BeforeEach(func(ctx SpecContext) {
		store(ctx, runs.Of(completed("report", 1),
			runs.MakePod("report-a", start).Container("main", 0, []byte(text)).Container("side", 0, []byte("side\n")),
			runs.MakePod("report-b", start.Add(1)).Container("main", 0, []byte("now\n")).Restarted(1, 1, []byte("before")),
			runs.MakePod("report-c", start.Add(2)).Container("main", 0, nil)))
	})

	It("prints all of them", func(ctx SpecContext) {
		Expect(succeed(ctx, "logs", "report")).To(Equal(`==> pod report-a, container main (node node-1, exit code 0) <==
line 1
line 2
\x1b[1mline 3

==> pod report-a, container side (node node-1, exit code 0) <==
side

==> pod report-b, container main, previous instance (node node-1, exit code 1) <==
before

==> pod report-b, container main (node node-1, exit code 0) <==
now

==> pod report-c, container main (node node-1, exit code 0) <==
[job-handler: the log is empty]
`))
	})

	DescribeTable("prints some of them", func(ctx SpecContext, want string, args ...string) {
		Expect(succeed(ctx, append([]string{"logs", "report"}, args...)...)).To(Equal(want))
	},
		Entry("of a container of a pod", `line 1`+"\n"+`line 2`+"\n"+`\x1b[1mline 3`+"\n", "--pod=report-a", "-c", "main"),
		Entry("the last lines of each of a pod", "==> pod report-a, container main <==\n"+`\x1b[1mline 3`+"\n\n==> pod report-a, container side <==\nside\n",
			"--pod=report-a", "--tail=1"),
		Entry("previous ones", "before\n", "--previous"),
		Entry("last ones", "side\n", "--previous=false", "-c", "side", "--pod=report-a", "--tail=5"),
		Entry("as they were written", text, "--raw", "--pod=report-a", "-c", "main"),
		Entry("all as they were written", text+"side\nbeforenow\n", "--raw"),
		Entry("the end as it was written", "\x1b[1mline 3", "--raw", "--tail=1", "--pod=report-a", "-c", "main"),
		Entry("nothing of an empty one", "", "--raw", "--pod=report-c"),
	)

	It("names what there is where nothing fits", func(ctx SpecContext) {
		Expect(fail(ctx, "logs", "report", "-c", "mian")).To(And(
			HavePrefix("Error: no such log; there are:\n  pod report-a, container main\n"),
			ContainSubstring("\n  pod report-b, container main, previous instance\n")))
	})

	It("prints earlier instances with the others, by when they started", func(ctx SpecContext) {
		store(ctx, runs.Of(completed("again", 1), runs.MakePod("again-a", start).Container("main", 0, []byte("now\n")).
			Restarted(3, 1, []byte("before\n")).Earlier(0, 2, []byte("first\n")).Earlier(1, 2, []byte("second\n"))))

		Expect(succeed(ctx, "logs", "again")).To(HavePrefix(`==> pod again-a, container main, instance 1 of 4 (node node-1, exit code 2) <==
first

==> pod again-a, container main, instance 2 of 4 (node node-1, exit code 2) <==
second

==> pod again-a, container main, previous instance (node node-1, exit code 1) <==
before
`))
		Expect(succeed(ctx, "logs", "again", "--raw")).To(Equal("first\nsecond\nbefore\nnow\n"))
		Expect(succeed(ctx, "logs", "again", "--previous")).To(Equal("before\n"))
		Expect(succeed(ctx, "logs", "again", "--previous=false")).To(Equal("now\n"))
		Expect(succeed(ctx, "logs", "again", "-c", "main")).To(HavePrefix("==> pod again-a, container main, instance 1 <==\nfirst\n"))
		Expect(succeed(ctx, "get", "again")).To(ContainSubstring("24B, complete"))
	})

	It("says what is missing", func(ctx SpecContext) {
		store(ctx, runs.Of(completed("part", 1), runs.MakePod("part-a", start).Container("main", 0, []byte("half of")).
			Incomplete(results.ReasonEndedEarly, "the stream ended before the log did")))

		Expect(succeed(ctx, "logs", "part")).To(HaveSuffix("half of\n[job-handler: this log is not complete: EndedEarly: the stream ended before the log did]\n"))
		Expect(command(ctx, "logs", "part", "--raw")).To(Equal(outcome{
			out: "half of", err: "Note: pod part-a, container main: the log is not complete: EndedEarly: the stream ended before the log did\n",
		}))
	})

	It("says what was left out", func(ctx SpecContext) {
		log := []byte(strings.Repeat("0123456789abcde\n", 1<<17))
		store(ctx, runs.Of(completed("long", 1), runs.MakePod("long-a", start).Container("main", 0, log)))
		half := string(log[:runs.BufferBytes/2])

		Expect(succeed(ctx, "logs", "long", "-c", "main")).To(Equal(half + "[job-handler: 1,048,576 bytes left out here]\n" + half))
		Expect(succeed(ctx, "logs", "long")).To(And(
			ContainSubstring("1,048,576 bytes in 65,536 lines left out after the first 524,288 bytes of this log]\n0123"),
			ContainSubstring("\n[job-handler: 1,048,576 bytes left out here]\n")))
		raw := command(ctx, "logs", "long", "--raw")
		Expect(raw.out).To(Equal(half + half))
		Expect(raw.err).To(HavePrefix("Note: pod long-a, container main: 1,048,576 bytes of the log are left out, after the first 524288\n"))
	})

	It("prints the containers where no log was wanted", func(ctx SpecContext) {
		run := runs.Of(completed("status", 1), runs.MakePod("status-a", start).Container("main", 0, nil))
		run.LogMode, run.Pods[0].Logs = api.LogModeStatus, nil
		store(ctx, run)

		Expect(succeed(ctx, "logs", "status")).To(HavePrefix("pod status-a, container main\n  Kind:"))
		Expect(command(ctx, "logs", "status", "-c", "main")).To(Equal(outcome{
			err: "Note: pod status-a, container main: NotWanted\n",
		}))
	})

	It("refuses exact bytes that are not kept", func(ctx SpecContext) {
		cm := build(runs.Of(completed("old", 1), runs.MakePod("old-a", start).Container("main", 0, []byte("hello\n"))))
		cm.Data[api.DataJobJSON] = strings.Replace(cm.Data[api.DataJobJSON], `"exact"`, `"inexact"`, 1)
		reseal(cm)
		Expect(kube.Create(ctx, cm)).To(Succeed())

		Expect(succeed(ctx, "logs", "old")).To(HaveSuffix("hello\n"))
		Expect(fail(ctx, "logs", "old", "--raw")).To(ContainSubstring(
			"the log of pod old-a, container main is kept as readable text only, with those of all others: kubectl job-results logs old-results"))
	})

	It("colours pods on a terminal", func() {
		var out, notes bytes.Buffer
		w := newLogWriter(&out, &notes, true, allLines)
		w.whole(&resultsview.Logs{Text: []byte("==> pod a, container main <==\nx\n\n==> pod b, container main <==\n\n==> pod a, container side <==\n")})
		Expect(w.out.Flush()).To(Succeed())
		Expect(out.String()).To(Equal("\x1b[1;36m==> pod a, container main <==\x1b[22;0m\nx\n\n\x1b[1;33m==> pod b, container main <==\x1b[22;0m\n\n" +
			"\x1b[1;36m==> pod a, container side <==\x1b[22;0m\n"))
	})

	It("gives back every byte", func(ctx SpecContext) {
		run := 0
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			run++
			name := fmt.Sprintf("any-%d", run)
			logs, pods := drawLogs(t)
			finished := runs.Of(completed(name, 1), pods...)
			finished.MaxBytes = rapid.SampledFrom([]int{
				0, results.MinBytes, api.MaxResultsBytes + 1, 2 * api.MaxResultsBytes, api.MostResultsBytes,
			}).Draw(t, "maxBytes")
			content, err := results.Build(finished)
			if err != nil {
				t.Fatalf("%v", err)
			}
			cm, err := storeContent(ctx, finished, content)
			if err != nil {
				t.Fatalf("%v", err)
			}
			for _, l := range logs {
				got := command(ctx, "logs", name, "--raw", "--pod", l.pod, "-c", l.container, fmt.Sprintf("--previous=%t", l.previous))
				if got.code != 0 {
					t.Fatalf("%s", got.err)
				}
				l.check(t, got, captureOf(t, cm, l))
			}
			if err := kube.DeleteAllOf(ctx, cm, client.InNamespace(namespace), client.MatchingLabels{api.CreatedLabel: api.True}); err != nil {
				t.Fatalf("%v", err)
			}
		})
	}, SpecTimeout(soon*20))
})

// written is what a container of the property wrote.
type written struct {
	pod, container string
	previous       bool
	text           []byte
}

// check compares what logs --raw printed with what was written.
func (l *written) check(t *rapid.T, got outcome, capture results.CaptureRecord) {
	out := []byte(got.out)
	if capture.BytesSeen != int64(len(l.text)) || capture.BytesKept != int64(len(out)) {
		t.Fatalf("%+v, but %d bytes were written and %d printed", capture, len(l.text), len(out))
	}
	if capture.Complete != bytes.Equal(out, l.text) {
		t.Fatalf("%+v, but printed is what was written: %t", capture, !capture.Complete)
	}
	if capture.Complete {
		return
	}
	head := capture.Exact.HeadBytes
	if !bytes.HasPrefix(l.text, out[:head]) || !bytes.HasSuffix(l.text, out[head:]) {
		t.Fatalf("%+v: not head and tail of what was written", capture)
	}
	if !strings.Contains(got.err, "left out") {
		t.Fatalf("not said that something was left out: %q", got.err)
	}
}

// drawLogs draws pods and what their containers wrote.
func drawLogs(t *rapid.T) ([]*written, []*runs.PodBuilder) {
	var logs []*written
	var pods []*runs.PodBuilder
	for i := range rapid.IntRange(1, 4).Draw(t, "pods") {
		pod := runs.MakePod(fmt.Sprintf("pod-%d", i), start)
		for _, name := range []string{"a", "b"}[:rapid.IntRange(1, 2).Draw(t, "containers")] {
			l := &written{pod: fmt.Sprintf("pod-%d", i), container: name, text: drawText(t)}
			logs = append(logs, l)
			pod.Container(name, rapid.Int32Range(0, 1).Draw(t, "exitCode"), l.text)
			if len(l.text) > runs.BufferBytes {
				pod.Packed(l.text)
			}
			if rapid.IntRange(0, 3).Draw(t, "restarted") == 0 {
				before := &written{pod: l.pod, container: name, previous: true, text: drawText(t)}
				logs = append(logs, before)
				pod.Restarted(1, 1, before.text)
			}
		}
		pods = append(pods, pod)
	}
	return logs, pods
}

// drawText draws what a container may write: of every size that matters, and
// of every kind.
func drawText(t *rapid.T) []byte {
	sizes := []int{0, 1, 1000, runs.BufferBytes, api.MaxResultsBytes * 3 / 4, results.MinBytes}
	size := rapid.SampledFrom(sizes).Draw(t, "size") + rapid.IntRange(-1, 1).Draw(t, "more")
	if rapid.IntRange(0, 9).Draw(t, "huge") == 0 {
		size = 10 << 20
	}
	text := make([]byte, max(0, size))
	switch rapid.SampledFrom([]string{"noise", "line", "lines", "special"}).Draw(t, "kind") {
	case "noise":
		_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(text)
	case "line":
		fill(text, "x")
	case "lines":
		fill(text, "level=info msg=\"part done\"\n")
	default:
		fill(text, "\x00\xff\x1b[31m\r\n\xe2\x80\xae\xe4\xb8")
	}
	return text
}

func fill(text []byte, with string) {
	for i := range text {
		text[i] = with[i%len(with)]
	}
}

// captureOf returns what job.json says of a log.
func captureOf(t *rapid.T, cm *corev1.ConfigMap, l *written) results.CaptureRecord {
	run, err := resultsview.Parse(results.Decode(cm))
	if err != nil {
		t.Fatalf("%v", err)
	}
	for i := range run.Pods {
		for _, c := range run.Pods[i].Containers {
			switch {
			case run.Pods[i].Name != l.pod || c.Name != l.container:
			case l.previous:
				return *c.PreviousCapture
			default:
				return c.Capture
			}
		}
	}
	t.Fatalf("job.json lacks %+v", l.container)
	return results.CaptureRecord{}
}
