package joblogs

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/results"
)

func TestMayBeRotated(t *testing.T) {
	const mib = 1 << 20
	start := time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		size       int64
		first, end time.Duration
		want       bool
	}{
		"wrote at once, much":                  {size: 30 * mib, first: 900 * time.Millisecond, end: 2 * time.Second},
		"wrote at once, for long":              {size: 9 * mib, first: 100 * time.Millisecond, end: time.Hour},
		"1 MiB/s, rotated after 10 s":          {size: 5 * mib, first: 10 * time.Second, end: 15 * time.Second, want: true},
		"1 MiB/s, rotated many times":          {size: 5 * mib, first: time.Hour, end: time.Hour + 5*time.Second, want: true},
		"100 KiB/s, rotated":                   {size: 3 * mib, first: 110 * time.Second, end: 140 * time.Second, want: true},
		"fast, rotated in its third second":    {size: 20 * mib, first: 2500 * time.Millisecond, end: 4 * time.Second, want: true},
		"silent for a while, then writes much": {size: 9 * mib, first: 10 * time.Second, end: 25 * time.Second},
		"silent while it starts":               {size: 4 * mib, first: 5 * time.Second, end: time.Minute},
		"silent for long, then writes little":  {size: mib - 1, first: time.Hour, end: time.Hour + time.Second},
		"ended before its first line":          {size: 5 * mib, first: 10 * time.Second, end: 9 * time.Second, want: true},
		"first line before its start":          {size: 50 * mib, first: -time.Second, end: time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, got := mayBeRotated(tc.size, start, start.Add(tc.first), start.Add(tc.end)); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
	if _, got := mayBeRotated(50*mib, time.Time{}, start, start); got {
		t.Error("rotated, from a start that is not known")
	}
}

// stamped answers requests for timestamps with stamp before the log.
func stamped(stamp string) fault {
	return func(_ context.Context, opts *corev1.PodLogOptions, right string) (io.ReadCloser, error) {
		if opts.Timestamps {
			_, text, _ := strings.Cut(right, " ")
			right = stamp + text
			right = right[:min(len(right), int(*opts.LimitBytes))]
		}
		return io.NopCloser(strings.NewReader(right)), nil
	}
}

// TestRotatedHead reads the log of a container that ran for a minute.
func TestRotatedHead(t *testing.T) {
	long, asked := strings.Repeat("a line of the log\n", 100_000)+"the last\n", []string{"p1/c", "p1/c tailLines=10", "p1/c limitBytes=64"}
	rotated := results.Capture{Reason: results.ReasonRotatedHead, Message: "the head may be gone: " +
		"the first line is from 51s after the container's start, and what was written before a log is rotated cannot be read"}
	tests := map[string]struct {
		log      string
		fault    fault
		capture  results.Capture
		requests []string
	}{
		"its head is gone":   {log: long, fault: stamped("2026-11-05T10:00:50.987654321Z "), capture: rotated, requests: asked},
		"in another zone":    {log: long, fault: stamped("2026-11-05T11:00:50.987654321+01:00 "), capture: rotated, requests: asked},
		"it is all there":    {log: long, fault: stamped("2026-11-05T10:00:00.987654321Z "), capture: whole, requests: asked},
		"too short to know":  {log: "a line\n", fault: stamped("2026-11-05T10:00:50.987654321Z "), capture: whole, requests: asked[:2]},
		"no timestamps":      {log: long, fault: stamped(""), capture: whole, requests: asked},
		"ended early anyway": {log: long, fault: sends(long[:len(long)-5]), capture: endedEarly, requests: asked[:2]},
		"refused": {log: long, capture: whole, requests: asked, fault: func(_ context.Context, opts *corev1.PodLogOptions, right string) (io.ReadCloser, error) {
			if opts.Timestamps {
				return nil, errors.New("no")
			}
			return io.NopCloser(strings.NewReader(right)), nil
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			k := &kubelet{logs: map[string]string{"p1/c": tc.log}, faults: map[string]fault{"p1/c": tc.fault}}
			collected, release, err := NewReader(k, Options{}).Collect(t.Context(), []*corev1.Pod{podWith(exited("c"))})
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			if diff := cmp.Diff(tc.capture, collected[0].Logs[0].Capture); diff != "" {
				t.Errorf("capture (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.requests, k.requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRotatedHeadOfPrevious compares with the times of the instance that is read.
func TestRotatedHeadOfPrevious(t *testing.T) {
	status := exited("c")
	status.LastTerminationState = ended()
	end := status.State.Terminated
	end.StartedAt.Time, end.FinishedAt.Time = end.StartedAt.Add(time.Hour), end.FinishedAt.Add(time.Hour)
	long := strings.Repeat("a line of the log\n", 100_000)
	k := &kubelet{
		logs: map[string]string{"p1/c": long, "p1/c/previous": long},
		faults: map[string]fault{
			"p1/c": stamped("2026-11-05T11:00:00.5Z "), "p1/c/previous": stamped("2026-11-05T10:00:50.5Z "),
		},
	}
	collected, release, err := NewReader(k, Options{}).Collect(t.Context(), []*corev1.Pod{podWith(status)})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	var got []string
	for _, l := range collected[0].Logs {
		got = append(got, l.Capture.Reason)
	}
	if diff := cmp.Diff([]string{results.ReasonRotatedHead, ""}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
