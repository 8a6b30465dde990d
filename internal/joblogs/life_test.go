package joblogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/results"
)

// answers is a LogStreamer that answers whole reads with whole, and those of the last
// lines with end.
type answers struct {
	whole, end io.Reader
	err        error
}

func (a answers) OpenLog(_ context.Context, _, _ string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	switch {
	case !opts.Timestamps:
		return nil, errors.New("without timestamps")
	case opts.TailLines == nil:
		return io.NopCloser(a.whole), nil
	case a.err != nil:
		return nil, a.err
	default:
		return io.NopCloser(a.end), nil
	}
}

// at is a time within the instance that ended() tells of, so many seconds after its start.
func at(seconds float64) string {
	return time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second))).Format(kubeletStamp)
}

func TestIdentify(t *testing.T) {
	day := time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)
	span := Span{Started: day.Add(10 * time.Second), Finished: day.Add(20 * time.Second)}
	tests := map[string]struct {
		span  Span
		first time.Duration
		want  Identity
	}{
		"just after its start":              {span, 10*time.Second + 1, Same},
		"stamped before its start":          {span, 9 * time.Second, Same},
		"long before its start":             {span, 7 * time.Second, Other},
		"just before its end":               {span, 20*time.Second - 1, Same},
		"in the second of its end":          {span, 20 * time.Second, MayBe},
		"a little late":                     {span, 22 * time.Second, MayBe},
		"long after its end":                {span, 26 * time.Second, Other},
		"where its end is not known":        {Span{Started: span.Started}, 15 * time.Second, MayBe},
		"where its start is not known":      {Span{Finished: span.Finished}, 0, Same},
		"long before the next starts":       {Span{Finished: span.Finished, Next: day.Add(22 * time.Second)}, 20 * time.Second, Same},
		"after its end, as the next starts": {Span{Finished: span.Finished, Next: day.Add(22 * time.Second)}, 21*time.Second + 1, Other},
		"just before the next starts":       {Span{Finished: span.Finished, Next: day.Add(21 * time.Second)}, 20 * time.Second, MayBe},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.span.Identify(day.Add(tc.first)); got != tc.want {
				t.Errorf("%d, not %d", got, tc.want)
			}
		})
	}
	for first, want := range map[time.Duration]bool{20*time.Second + 999*time.Millisecond: true, 21 * time.Second: false} {
		if got := span.ByItsEnd(day.Add(first)); got != want {
			t.Errorf("first line at %s, by the end: %t", first, got)
		}
	}
	if got := span.Identify(time.Time{}); got != MayBe {
		t.Errorf("no line: %d", got)
	}
}

func TestReadLife(t *testing.T) {
	var lines, later strings.Builder
	for i := range 20 {
		fmt.Fprintf(&lines, "%s line %d\n", at(float64(i)), i)
		fmt.Fprintf(&later, "%s line %d\n", at(float64(i)+0.5), i)
	}
	text := func(s string) string {
		var out strings.Builder
		for line := range strings.Lines(s) {
			_, rest, _ := strings.Cut(line, " ")
			out.WriteString(rest)
		}
		return out.String()
	}
	last := func(s string, n int) string {
		all := strings.SplitAfter(s, "\n")
		return strings.Join(all[max(0, len(all)-1-n):], "")
	}
	long := strings.Repeat("x", 40<<10)
	all := lines.String()
	tests := map[string]struct {
		whole, end string
		err        error
		identity   Identity
		// text is what is passed on; "-": of it is not asked.
		text, reason string
		retryable    bool
	}{
		"whole":                            {whole: all, end: last(all, 10), identity: Same, text: text(all)},
		"one line":                         {whole: last(all, 1), end: last(all, 1), identity: Same, text: "line 19\n"},
		"without a newline at its end":     {whole: all + at(30) + " bye", end: last(all, 9) + at(30) + " bye", identity: Same, text: text(all) + "bye"},
		"empty":                            {identity: MayBe},
		"the end of a long line":           {whole: at(1) + " " + long + "\n" + at(2) + " b\n", end: at(1.5) + " " + long[:100] + "\n" + at(2) + " b\n", identity: Same, text: long + "\nb\n"},
		"a long line alone":                {whole: at(1) + " " + long + "\n", end: at(1.5) + " " + long[:30<<10] + "\n", identity: Same, text: long + "\n"},
		"broken off":                       {whole: all[:200], end: last(all, 10), identity: Same, text: "-", reason: results.ReasonEndedEarly, retryable: true},
		"another one is compared":          {whole: all, end: last(later.String(), 10), identity: Same, text: text(all), reason: results.ReasonEndedEarly, retryable: true},
		"a later one is compared":          {whole: all, end: at(70) + " line 18\n" + at(71) + " line 19\n", identity: Same, text: text(all), reason: results.ReasonNotCompared},
		"none is there to compare":         {whole: all, err: refusal(400, `previous terminated container "main" in pod "p1" not found`), identity: Same, text: text(all), reason: results.ReasonNotCompared},
		"it is removed before it is":       {whole: all, end: "unable to retrieve container logs for containerd://0123abcd", identity: Same, text: text(all), reason: results.ReasonNotCompared},
		"it cannot be compared now":        {whole: all, err: refusal(500, "dial tcp: connection refused"), identity: Same, text: text(all), reason: results.ReasonNodeUnreachable, retryable: true},
		"a later one":                      {whole: strings.ReplaceAll(all, "T10:", "T11:"), identity: Other, reason: results.ReasonContainerGone},
		"the kubelet cannot tell which":    {whole: "unable to retrieve container logs for containerd://0123abcd", identity: MayBe, reason: results.ReasonLogUnavailable, retryable: true},
		"in the second of its end":         {whole: at(60.2) + " bye\n", end: at(60.2) + " bye\n", identity: MayBe, text: "bye\n"},
		"the same text of another in that": {whole: at(60.2) + " bye\n", end: at(60.7) + " bye\n", identity: MayBe, text: "bye\n", reason: results.ReasonEndedEarly, retryable: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := podWith(exited("main"))
			r := NewReader(answers{strings.NewReader(tc.whole), strings.NewReader(tc.end), tc.err}, Options{})
			end := pod.Status.ContainerStatuses[0].State.Terminated
			var got strings.Builder
			reading := r.ReadLife(t.Context(), LogsOf(pod)[0], Span{Started: end.StartedAt.Time, Finished: end.FinishedAt.Time}, &got)
			reading.Capture.Message = ""
			want := LifeReading{Identity: tc.identity, Capture: results.Capture{Complete: tc.reason == "", Reason: tc.reason, Retryable: tc.retryable}}
			want.Redacted, want.First = reading.Redacted, reading.First
			if diff := cmp.Diff(want, reading); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tc.text != "-" && got.String() != tc.text {
				t.Errorf("%d bytes are passed on, not %d: %.60q", got.Len(), len(tc.text), got.String())
			}
		})
	}
}

func TestFirstLine(t *testing.T) {
	tests := map[string]struct {
		answer string
		known  bool
		first  string
	}{
		"a line":   {at(1.5) + " begun\n", true, at(1.5)},
		"nothing":  {"", true, ""},
		"an error": {"unable to retrieve container logs for containerd://0123abcd", false, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := NewReader(answers{whole: strings.NewReader(tc.answer)}, Options{})
			first, known := r.FirstLine(t.Context(), LogsOf(podWith(exited("main")))[0])
			got := ""
			if !first.IsZero() {
				got = first.Format(kubeletStamp)
			}
			if known != tc.known || got != tc.first {
				t.Errorf("%q, %t", got, known)
			}
		})
	}
}

// TestReadLifeRotated has the head of a log be gone.
func TestReadLifeRotated(t *testing.T) {
	var all strings.Builder
	for i := 0; all.Len() < 6<<20; i++ {
		fmt.Fprintf(&all, "%s %s\n", at(40+float64(i)/1000), strings.Repeat("x", 1000))
	}
	lines := strings.SplitAfter(all.String(), "\n")
	pod := podWith(exited("main"))
	r := NewReader(answers{strings.NewReader(all.String()), strings.NewReader(strings.Join(lines[len(lines)-11:], "")), nil}, Options{})
	end := pod.Status.ContainerStatuses[0].State.Terminated
	reading := r.ReadLife(t.Context(), LogsOf(pod)[0], Span{Started: end.StartedAt.Time, Finished: end.FinishedAt.Time}, io.Discard)
	if reading.Capture.Reason != results.ReasonRotatedHead || reading.Identity != Same {
		t.Errorf("%+v", reading)
	}
}

func refusal(code int32, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: message}}
}
