package joblogs

import (
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

// bufferOf returns text as it is kept to compare its end.
func bufferOf(text string) *logtext.Buffer {
	b := logtext.NewBuffer(verifyBuffer)
	_, _ = b.Write([]byte(text))
	return b
}

// TestLogEndCompare compares the end of a log, in which the lines of text have these
// timestamps, with what was read of it.
func TestLogEndCompare(t *testing.T) {
	long := strings.Repeat("x", 3*verifyBuffer)
	tests := map[string]struct {
		read   string
		latest stamp
		end    string
		stamps []stamp
		same   bool
	}{
		"the same":                         {read: "a\nb\n", latest: 2, end: "a\nb\n", stamps: []stamp{1, 2}, same: true},
		"its last lines":                   {read: "a\nb\nc\n", latest: 3, end: "b\nc\n", stamps: []stamp{2, 3}, same: true},
		"nothing of nothing":               {same: true},
		"nothing of something":             {read: "a\n", latest: 1},
		"something of nothing":             {end: "a\n", stamps: []stamp{1}},
		"other text":                       {read: "a\nb\n", latest: 2, end: "a\nc\n", stamps: []stamp{1, 2}},
		"more text":                        {read: "b\n", latest: 2, end: "a\nb\n", stamps: []stamp{1, 2}},
		"equal lines, later":               {read: "a\na\n", latest: 2, end: "a\na\n", stamps: []stamp{3, 4}},
		"equal lines without timestamps":   {read: "a\na\n", end: "a\na\n", stamps: []stamp{3, 4}, same: true},
		"timestamps out of order":          {read: "a\nb\n", latest: 5, end: "a\nb\n", stamps: []stamp{5, 2}, same: true},
		"one line, later":                  {read: "a\n", latest: 1, end: "a\n", stamps: []stamp{2}},
		"the rest of one long line, later": {read: long, latest: 1, end: long[verifyBuffer:], stamps: []stamp{2}, same: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			end := &logEnd{kept: logtext.NewBuffer(verifyBuffer)}
			i := 0
			for line := range strings.Lines(tc.end) {
				end.begin(tc.stamps[i])
				end.text([]byte(line))
				i++
			}
			if got := end.compare(bufferOf(tc.read), tc.latest); got.Complete != tc.same || !tc.same && got != endedEarly {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestLogEndIsRemoved tells a log that was removed from one that cannot be read now.
func TestLogEndIsRemoved(t *testing.T) {
	unread := func(c results.Capture) *logEnd { return &logEnd{unread: &c} }
	tests := map[string]struct {
		end  *logEnd
		want bool
	}{
		"read":                       {&logEnd{}, false},
		"an error of this container": {&logEnd{failure: runtimeError}, true},
		"an error of any container":  {&logEnd{failure: foreignError}, false},
		"the pod is gone":            {unread(notRetryable(results.ReasonPodGone, "")), true},
		"the node is gone":           {unread(notRetryable(results.ReasonNodeGone, "")), false},
		"the node cannot be reached": {unread(retryable(results.ReasonNodeUnreachable, "")), false},
		"the container is gone":      {unread(notRetryable(results.ReasonContainerGone, "")), true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := podWith(exited("c"))
			if got := tc.end.isRemoved(&task{pod: pod, containerID: "containerd://0123abcd"}); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
