package results

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
)

// random returns size bytes that cannot be compressed.
func random(size int) string {
	text := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(text)
	return string(text)
}

// unpack returns the text that the offsets of job.json are about.
func unpack(t interface{ Fatalf(string, ...any) }, content *Content) []byte {
	packed, there := content.BinaryData[api.DataLogsGzip]
	for _, p := range content.Parts {
		packed, there = append(packed, p.Bytes...), true
	}
	if !there {
		return []byte(content.Data[api.DataLogs])
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatalf("logs.gz: %v", err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatalf("logs.gz: %v", err)
	}
	return text
}

func TestArchive(t *testing.T) {
	failing := failedRun(podAt("a", 1).with("main", exited(1), ""))
	failing.Pods[0].Logs[0].Text = buffer("0123456789", 4)
	const heading = "==> pod a, container main (node node-1, exit code "
	tests := map[string]struct {
		run  Run
		want string
	}{
		"text as it is":    {run: completedRun(podAt("a", 1).with("main", exited(0), "one\ntwo"))},
		"nothing":          {run: completedRun(podAt("a", 1).with("main", exited(0), ""))},
		"made readable":    {run: completedRun(podAt("a", 1).with("main", exited(0), "\x1b[1mone\r\n")), want: heading + "0) <==\n\x1b[1mone\r\n"},
		"as long readable": {run: completedRun(podAt("a", 1).with("main", exited(0), "\x00\r\n\r\n\r\n")), want: heading + "0) <==\n\x00\r\n\r\n\r\n"},
		"not whole":        {run: failing, want: heading + "1) <==\n[job-handler: 6 bytes in 1 line left out after the first 2 bytes of this log]\n0189\n"},
		"every log where one needs it": {
			run:  completedRun(podAt("a", 1).with("main", exited(0), "plain").with("side", exited(0), "\xff\n")),
			want: heading + "0) <==\nplain\n\n" + strings.Replace(heading, "main", "side", 1) + "0) <==\n\xff\n",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			content := build(t, tc.run)
			got := ""
			if content.BinaryData != nil {
				got = string(unpack(t, content))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A log of 3 MiB that compresses well is stored whole, and readable in part.
func TestArchiveHoldsWhatLogsCannot(t *testing.T) {
	log := numbered(130_000)
	pod := podAt("loud", 1).with("main", exited(0), "")
	pod.Logs[0].Text = buffer(log, 4<<20)
	content := build(t, completedRun(pod))
	if !content.Capture.Complete || !bytes.Contains(unpack(t, content), []byte(log)) {
		t.Errorf("capture %+v", content.Capture)
	}
	if !strings.Contains(content.Data[api.DataLogs], " left out here]\n") {
		t.Error("logs does not say what it leaves out")
	}
	if free := api.MaxResultsBytes - content.Bytes(); free < 0 || free > 4<<10 {
		t.Errorf("%d bytes left free", free)
	}
}

func TestArchiveOfWhatCannotBeCompressed(t *testing.T) {
	for _, limit := range []int{MinBytes, 100_000, api.MaxResultsBytes} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			run := failedRun(podAt("binary", 1).with("main", exited(1), random(1<<20)), podAt("small", 2).with("main", exited(0), "\x1b[0m\n"))
			run.MaxBytes = limit
			content := build(t, run)
			captures := readRecord(t, content).Pods
			if loud := captures[0].Containers[0].Capture; loud.BytesKept < int64(limit/2) {
				t.Errorf("kept %d bytes", loud.BytesKept)
			}
			if small := captures[1].Containers[0].Capture; !small.Complete {
				t.Errorf("the small log is not whole: %+v", small)
			}
			if free := limit - content.Bytes(); free < 0 || free > limit/5 {
				t.Errorf("%d bytes left free", free)
			}
		})
	}
}

// checkExact fails unless what job.json says of every log is true, to the byte.
func checkExact(t interface{ Fatalf(string, ...any) }, run *Run, content *Content) {
	text := unpack(t, content)
	for i, p := range readAny(t, content).Pods {
		for _, c := range p.Containers {
			checkKept(t, text, run.Pods[i].log(c.Name, false), c.Capture)
			if c.PreviousCapture != nil {
				checkKept(t, text, run.Pods[i].log(c.Name, true), *c.PreviousCapture)
			}
			if earlier := earlierLogs(&run.Pods[i], c.Name); len(earlier) == len(c.Instances) {
				for j, log := range earlier {
					checkKept(t, text, log, c.Instances[j].Capture)
				}
			}
		}
	}
}

func checkKept(t interface{ Fatalf(string, ...any) }, text []byte, log *ContainerLog, capture CaptureRecord) {
	if capture.Exact == nil {
		return
	}
	at := capture.Exact
	got := text[at.Offset : at.Offset+capture.BytesKept]
	if log.Text.Whole() && capture.BytesKept == capture.BytesSeen {
		if !bytes.Equal(got, log.Text.Head()) {
			t.Fatalf("%+v is not the log", capture)
		}
		return
	}
	head, tail := got[:at.HeadBytes], got[at.HeadBytes:]
	end := log.Text.Tail()
	if log.Text.Whole() {
		end = log.Text.Head()
	}
	if !bytes.HasPrefix(log.Text.Head(), head) || !bytes.HasSuffix(end, tail) {
		t.Fatalf("%+v are not head and tail of the log", capture)
	}
}

func TestExactPlacesOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := drawRun(t)
		if run.LogMode == api.LogModeStatus || len(run.Pods) == 0 {
			t.Skip()
		}
		// The order of job.json, so that positions agree.
		for i := range run.Pods {
			run.Pods[i].Pod.CreationTimestamp = at(i)
		}
		content, err := Build(run)
		if err != nil {
			t.Fatalf("Build: %v", err)
		}
		if readAny(t, content).Omitted.Pods == 0 {
			checkExact(t, &run, content)
		}
	})
}
