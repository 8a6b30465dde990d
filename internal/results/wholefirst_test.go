package results

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
)

// counted returns what "seq 1 n" prints.
func counted(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, i+1)
	}
	return b.String()
}

// A log that fits compressed is whole, however little that leaves of logs.
func TestLogThatFitsIsWhole(t *testing.T) {
	log := counted(400_000)
	content := build(t, packedRun(api.MaxResultsBytes, log))
	if !content.Capture.Complete || !bytes.Contains(unpack(t, content), []byte(log)) {
		t.Errorf("capture %+v with %d bytes of logs.gz", content.Capture, len(content.BinaryData[api.DataLogsGzip]))
	}
	if free := api.MaxResultsBytes - content.Bytes(); free < 0 || free > 4<<10 {
		t.Errorf("%d bytes left free", free)
	}
}

// drawLogs draws logs that do not fit into logs as they are, since they hold bytes
// that have to be made readable.
func drawLogs(t *rapid.T) []string {
	logs := make([]string, rapid.IntRange(1, 3).Draw(t, "logs"))
	for i := range logs {
		size := rapid.IntRange(0, 300_000).Draw(t, "size")
		if rapid.IntRange(0, 9).Draw(t, "large") == 0 {
			size += rapid.IntRange(0, 2<<20).Draw(t, "more")
		}
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			logs[i] = random(size)
		case 1:
			logs[i] = counted(size/7) + "\x00"
		default:
			logs[i] = strings.Repeat("the same line again\r\n", size/21)
		}
	}
	return logs
}

// drawWholeRun draws a run of logs that were read whole, some of them kept
// compressed.
func drawWholeRun(t *rapid.T) func(maxBytes int) Run {
	logs := drawLogs(t)
	packed := rapid.Bool().Draw(t, "packed")
	return func(maxBytes int) Run {
		run := packedRun(maxBytes, logs...)
		for i, log := range logs {
			if run.Pods[i].Logs[0].Text = buffer(log, 3<<20); !packed {
				run.Pods[i].Logs[0].Packed = nil
			}
		}
		return run
	}
}

// archiveBytes returns the size of logs.gz, in the object or in parts.
func archiveBytes(content *Content) int {
	n := len(content.BinaryData[api.DataLogsGzip])
	for _, p := range content.Parts {
		n += len(p.Bytes)
	}
	return n
}

// Whole first: whatever the limit is, nothing is left out of logs that fit into it
// compressed, beside the least that logs may be, in one object or in several.
func TestLogsThatFitAreWhole(t *testing.T) {
	// More than what job.json is reserved and does not take.
	const slack = 4 << 10
	rapid.Check(t, func(t *rapid.T) {
		drawn := drawWholeRun(t)
		all, err := Build(drawn(api.MostResultsBytes))
		if err != nil {
			t.Fatal(err)
		}
		if !all.Capture.Complete {
			t.Fatalf("not whole within %d bytes: %+v", api.MostResultsBytes, all.Capture)
		}
		archive := archiveBytes(all)
		if archive == 0 {
			t.Skip()
		}
		fixed := size(all.Data) - len(all.Data[api.DataLogs]) - len(all.Data[api.DataParts])
		need := fixed + archive + leastPreview + slack
		limit := rapid.OneOf(
			rapid.IntRange(MinBytes, api.MostResultsBytes), rapid.IntRange(need-64<<10, need+64<<10), rapid.Just(need),
		).Draw(t, "limit")
		limit = max(MinBytes, min(limit, api.MostResultsBytes))
		run := drawn(limit)
		content, err := Build(run)
		if err != nil {
			t.Fatal(err)
		}
		checkContent(t, &run, content)
		checkExact(t, &run, content)
		if content.AllBytes() > limit {
			t.Fatalf("%d bytes, limit %d", content.AllBytes(), limit)
		}
		inParts := 0
		if need > api.MaxResultsBytes {
			inParts = partsListing
		}
		if need+inParts <= limit && (!content.Capture.Complete || archiveBytes(content) != archive) {
			t.Fatalf("logs.gz has %d bytes and %d others with it, and is cut to %d within %d: %+v",
				archive, fixed, archiveBytes(content), limit, content.Capture)
		}
		if text := len(content.Data[api.DataLogs]); !content.Capture.Complete && limit >= 128<<10 && text < previewBytes/2 {
			t.Fatalf("only %d bytes of logs beside a logs.gz that is cut", text)
		}
	})
}
