package joblogs

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

var ten = time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)

// line returns one that was written so long after ten.
func line(after time.Duration, text string) message { return message{at: ten.Add(after), text: text} }

func piece(after time.Duration, text string) message {
	return message{at: ten.Add(after), text: text, partial: true}
}

// followFile follows a file to its end, over as many streams as that takes.
func followFile(t *testing.T, file *logFile, rules *redact.Set) (string, results.Capture) {
	t.Helper()
	return followWith(t, file, rules, func(*Following) {})
}

func followWith(t *testing.T, file *logFile, rules *redact.Set, prepare func(*Following)) (string, results.Capture) {
	t.Helper()
	text := logtext.NewBuffer(64 << 20)
	f := NewReader(file, Options{Redact: rules}).NewFollowing(text)
	prepare(f)
	log := LogsOf(podWith(exited("c")))[0]
	var capture results.Capture
	for range len(file.cuts) + looksAtEmpty + 2 {
		ended := false
		if ended, capture = f.Stream(t.Context(), log); ended {
			capture = f.Confirm(t.Context(), log)
		}
		if !capture.Retryable {
			break
		}
	}
	if _, err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return string(text.Head()), capture
}

// oddLogs are logs in which the place where a stream broke off is hard to find.
func oddLogs() map[string][]message {
	same := []message{line(0, "begin")}
	for range 5 {
		same = append(same, line(time.Second, "same"), line(time.Second, ""))
	}
	return map[string][]message{
		"plain":                        {line(0, "one"), line(time.Millisecond, "two"), line(1500*time.Millisecond, "three")},
		"equal lines at the same time": append(same, line(2*time.Second, "end")),
		"nothing but equal lines":      {line(0, "x"), line(0, "x"), line(0, "x"), line(0, "x")},
		"equal lines at other times":   {line(0, "x"), line(1, "x"), line(2, "x"), line(3, "x")},
		"no newline at the end":        {line(0, "one"), piece(time.Second, "half")},
		"empty lines":                  {line(0, ""), line(1, ""), line(1, ""), line(2, "x"), line(2, "")},
		"a line in pieces":             {line(0, "one"), piece(1, "aaaa"), piece(time.Second, "bbbb"), line(3*time.Second, "cc"), line(3*time.Second, "end")},
		"a line over a minute":         {piece(0, "aaaa"), piece(time.Minute, "bbbb"), line(3*time.Minute, "cc"), line(3*time.Minute, "end")},
		"two outputs that race":        {line(5, "a"), line(4, "b"), line(7, "c"), line(6, "d"), line(6, "D"), line(time.Second, "e"), line(time.Second-1, "f")},
		"outputs glued":                {piece(0, "no newline"), line(1, "of the other"), line(2, "end")},
		"a timestamp in the text":      {line(0, ten.Format(kubeletStamp)+" x"), line(0, "2026-11-05T10:00:00.000000000Z x"), line(1, "2026-11-05")},
		"the clock is set back":        {line(time.Minute, "a"), line(time.Minute+1, "b"), line(30*time.Second, "c"), line(31*time.Second, "d"), line(2*time.Minute, "e")},
		"the clock is set back for good": {
			line(time.Hour, "a"), line(time.Hour+1, "b"), line(time.Hour+2, "c"), line(0, "d"), line(1, "e"), line(2, "f"),
		},
		"any bytes": {line(0, "\x00\xff\x1b[31m"), line(1, " "), line(1, "\r"), line(2, "  2026"), line(3, "\x00")},
	}
}

// TestResume cuts a followed log at every byte, with an error and as if it had
// ended, and once more at every byte of a part of what comes then: the log is
// whole, and no line of it twice.
func TestResume(t *testing.T) {
	for name, messages := range oddLogs() {
		t.Run(name, func(t *testing.T) {
			want, sent := written(messages), len(send(messages, stampedOptions))
			for first := range sent {
				for _, second := range []int{-1, first / 3, first, min(first+1, sent), (first + sent) / 2} {
					for _, clean := range []bool{false, true} {
						cuts := []int{first, second}
						if second < 0 {
							cuts = cuts[:1]
						}
						file := &logFile{messages: messages, cuts: cuts, clean: clean}
						got, capture := followFile(t, file, nil)
						if got != want || !capture.Complete {
							t.Fatalf("cut at %v, clean %t: %+v\n%q, not\n%q", cuts, clean, capture, got, want)
						}
					}
				}
			}
		})
	}
}

// TestResumeRotated has the log be rotated while no stream is open, at every
// line: what the new file holds of what was passed on is not passed on again.
func TestResumeRotated(t *testing.T) {
	for _, name := range []string{"plain", "two outputs that race", "equal lines at other times", "a line in pieces", "no newline at the end", "any bytes"} {
		t.Run(name, func(t *testing.T) {
			messages := oddLogs()[name]
			for kept := range messages {
				// All that is gone was sent, and if that is the beginning of a line,
				// nothing of its rest.
				sent, all := len(send(messages[:kept], stampedOptions)), len(send(messages, stampedOptions))
				if kept > 0 && messages[kept-1].partial {
					all = sent + 1
				}
				for cut := sent; cut < all; cut++ {
					file := &logFile{messages: messages, cuts: []int{cut}, rotated: messages[kept:]}
					got, capture := followFile(t, file, nil)
					if want := written(messages); got != want {
						t.Fatalf("rotated at line %d, cut at %d: %+v\n%q, not\n%q", kept, cut, capture, got, want)
					}
				}
			}
		})
	}
}

// TestResumeLong has a log be so long that streams start within it, with many
// lines in each second, and be cut at many places.
func TestResumeLong(t *testing.T) {
	var messages []message
	for i := range 40_000 {
		messages = append(messages, line(time.Duration(i)*20*time.Millisecond, fmt.Sprintf("%07d %055d", i, 0)))
	}
	want, sent := written(messages), len(send(messages, stampedOptions))
	var cuts []int
	for at := 1; at < sent; at += sent / 7 {
		cuts = append(cuts, at)
	}
	file := &logFile{messages: messages, cuts: cuts}
	got, capture := followFile(t, file, nil)
	if got != want || !capture.Complete {
		t.Fatalf("%+v, %d bytes, not %d", capture, len(got), len(want))
	}
	if len(file.since) == 0 || !file.since[len(file.since)-1].After(ten) {
		t.Errorf("streams started at %v", file.since)
	}
	for _, since := range file.since {
		if since.Nanosecond() != 0 {
			t.Errorf("%s is not known to the API, which takes whole seconds", since)
		}
	}
}

// TestResumeSince is TestResume with streams that do not start at the beginning.
func TestResumeSince(t *testing.T) {
	for name, messages := range oddLogs() {
		if name == "the clock is set back for good" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			// What is long past is not sent again.
			var all []message
			for i := range 2 * recentLines {
				all = append(all, line(time.Duration(i)*time.Second-24*time.Hour, "past"))
			}
			all = append(all, messages...)
			want, past, sent := written(all), len(send(all[:2*recentLines], stampedOptions)), len(send(all, stampedOptions))
			for cut := past; cut < sent; cut++ {
				for _, clean := range []bool{false, true} {
					file := &logFile{messages: all, cuts: []int{cut}, clean: clean}
					if got, capture := followFromSince(t, file); got != want || !capture.Complete {
						t.Fatalf("cut at %d, clean %t: %+v\n%q, not\n%q", cut, clean, capture, got[past:], want[past:])
					}
				}
			}
		})
	}
}

// followFromSince is followFile for streams that start late however short the log.
func followFromSince(t *testing.T, file *logFile) (string, results.Capture) {
	t.Helper()
	return followWith(t, file, nil, func(f *Following) { f.resumed.reread = 0 })
}

// TestResumeSetBack has the clock be set back by more than streams start early,
// after a part of the log that is not remembered: what the kubelet does not send
// any more for that is missed, and said to be.
func TestResumeSetBack(t *testing.T) {
	messages := []message{line(time.Hour, "a"), line(time.Hour+1, "b"), line(0, "c"), line(1, "d")}
	file := &logFile{messages: messages, cuts: []int{len(send(messages[:2], stampedOptions))}}
	got, capture := followFromSince(t, file)
	if got != "a\nb\n" || capture.Complete {
		t.Errorf("%q, %+v", got, capture)
	}
}

// TestResumeLongLine cuts lines of 10 MiB, as they come in pieces.
func TestResumeLongLine(t *testing.T) {
	const size = 10 << 20
	messages := []message{line(0, "begin")}
	for i := range size / (16 << 10) {
		messages = append(messages, piece(time.Duration(i)*time.Second, strings.Repeat(string(rune('a'+i%26)), 16<<10)))
	}
	messages = append(messages, line(time.Hour, ""), line(time.Hour, "end"))
	want := written(messages)
	for _, cuts := range [][]int{{100, 5000, 20_000, size / 2, size/2 + 1, size}, {size - 1}, {size + 100, size + 100}} {
		for _, clean := range []bool{false, true} {
			got, capture := followFile(t, &logFile{messages: messages, cuts: cuts, clean: clean}, nil)
			if got != want || !capture.Complete {
				t.Errorf("cut at %v, clean %t: %+v, %d bytes, not %d", cuts, clean, capture, len(got), len(want))
			}
		}
	}
}

// TestResumeRedacts cuts a log with credentials at every byte.
func TestResumeRedacts(t *testing.T) {
	rules, err := redact.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	messages := []message{line(0, "begin"), line(1, "password=hunter2hunter2"), piece(2, "password="), line(3, "hunter3hunter3"), line(4, "end")}
	want, _ := rules.String(written(messages))
	for cut := range len(send(messages, stampedOptions)) {
		got, _ := followFile(t, &logFile{messages: messages, cuts: []int{cut, cut / 2}}, rules)
		if got != want || strings.Contains(got, "hunter") {
			t.Fatalf("cut at %d: %q, not %q", cut, got, want)
		}
	}
}

// TestResumeGap has the log be rotated away between two streams: what comes then
// is passed on, and it is said that something may be missing between. Of a line that
// was cut the rest is taken to come: a runtime cuts lines where a log is rotated.
func TestResumeGap(t *testing.T) {
	messages := []message{line(0, "one"), line(time.Second, "two")}
	file := &logFile{messages: messages, cuts: []int{len(send(messages, stampedOptions)) - 1}, rotated: []message{line(time.Minute, "nine"), line(2*time.Minute, "ten")}}
	got, capture := followFile(t, file, nil)
	want := notRetryable(results.ReasonRotatedGap, "the log was rotated while it could not be read: "+
		"lines from between 2026-11-05T10:00:00Z and 2026-11-05T10:01:00Z may be missing")
	if got != "one\ntwonine\nten\n" || capture != want {
		t.Errorf("%q, %+v", got, capture)
	}
}

// TestResumeRotatedToNothing has nothing be left to compare the end with.
func TestResumeRotatedToNothing(t *testing.T) {
	messages := []message{line(0, "one"), line(time.Second, "two")}
	file := &logFile{messages: messages, rotated: []message{}}
	got, capture := followFile(t, file, nil)
	if got != "one\ntwo\n" || !capture.Complete {
		t.Errorf("%q, %+v", got, capture)
	}
}

// TestRotatedIsNotSupposedAtOnce has nothing be there to compare the end with, as
// often as it takes to believe that.
func TestRotatedIsNotSupposedAtOnce(t *testing.T) {
	file := &logFile{messages: []message{line(0, "one")}, rotated: []message{}}
	f := NewReader(file, Options{}).NewFollowing(logtext.NewBuffer(1 << 10))
	log := LogsOf(podWith(exited("c")))[0]
	for look := range looksAtEmpty {
		if ended, capture := f.Stream(t.Context(), log); !ended {
			t.Fatalf("%+v", capture)
		}
		if capture := f.Confirm(t.Context(), log); capture.Complete != (look == looksAtEmpty-1) {
			t.Errorf("look %d: %+v", look, capture)
		}
	}
}

// TestEqualEnd has a stream break off in front of lines that are equal to those before:
// they are told apart by their times.
func TestEqualEnd(t *testing.T) {
	block := func(at time.Duration) []message {
		var lines []message
		for i := range verifyLines + 1 {
			lines = append(lines, line(at+time.Duration(i), strings.Repeat(".", i%3)))
		}
		return lines
	}
	messages := append(block(0), block(time.Hour)...)
	file := &logFile{messages: messages, cuts: []int{len(send(block(0), stampedOptions))}, clean: true}
	got, capture := followFile(t, file, nil)
	if got != written(messages) || !capture.Complete || file.streams != 2 {
		t.Errorf("%d streams, %+v\n%q", file.streams, capture, got)
	}
}

// TestLongLineAtEnd has the last lines be pieces of one that is longer, of which the
// beginning is not read again: its time is that of a piece.
func TestLongLineAtEnd(t *testing.T) {
	messages := []message{line(0, "one")}
	for i := range 2 * verifyLines {
		messages = append(messages, piece(time.Duration(i+1)*time.Second, "aaaa"))
	}
	for name, last := range map[string]message{"whole": line(time.Hour, "end"), "without an end": piece(time.Hour, "end")} {
		t.Run(name, func(t *testing.T) {
			file := &logFile{messages: append(messages, last)}
			if got, capture := followFile(t, file, nil); got != written(file.messages) || !capture.Complete || file.streams != 1 {
				t.Errorf("%d streams, %+v\n%q", file.streams, capture, got)
			}
		})
	}
}

// TestConfirmInTime has the time be over when a log would be found to have ended.
func TestConfirmInTime(t *testing.T) {
	file := &logFile{messages: []message{line(0, "one")}}
	f := NewReader(file, Options{}).NewFollowing(logtext.NewBuffer(1 << 10))
	log := LogsOf(podWith(exited("c")))[0]
	if ended, capture := f.Stream(t.Context(), log); !ended {
		t.Fatalf("%+v", capture)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if capture := f.Confirm(over, log); capture.Complete || capture.Reason != results.ReasonStillRunning {
		t.Errorf("%+v", capture)
	}
}

// goneAfter is a log of which nothing can be read once a stream has ended, and why.
type goneAfter struct {
	logFile
	err error
}

// OpenLog implements LogStreamer.
func (l *goneAfter) OpenLog(ctx context.Context, namespace, pod string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	if l.streams > 0 {
		return nil, l.err
	}
	return l.logFile.OpenLog(ctx, namespace, pod, opts)
}

// TestGoneBeforeConfirmed has what wrote a log be gone right after the stream
// ended: a container that is gone has ended, and a node that is gone may have cut
// the stream off.
func TestGoneBeforeConfirmed(t *testing.T) {
	notFound := func(name string) error {
		return apierrors.NewNotFound(corev1.Resource("pods"), name)
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"pod":       {err: notFound("p1")},
		"container": {err: apierrors.NewBadRequest(`container "c" in pod "p1" is terminated`)},
		"node":      {err: notFound("node-1"), want: results.ReasonNodeGone},
		"kubelet":   {err: errCut, want: results.ReasonLogUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			file := &goneAfter{logFile: logFile{messages: []message{line(0, "one")}}, err: c.err}
			f := NewReader(file, Options{}).NewFollowing(logtext.NewBuffer(1 << 10))
			log := LogsOf(podWith(exited("c")))[0]
			if ended, capture := f.Stream(t.Context(), log); !ended {
				t.Fatalf("%+v", capture)
			}
			if got := f.Confirm(t.Context(), log); got.Reason != c.want || got.Complete != (c.want == "") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestRepeated has a stream bring again what it brought, as of a kubelet that
// opens a rotated log twice: once what is remembered, once more than that.
func TestRepeated(t *testing.T) {
	for _, lines := range []int{3, recentLines, 5 * recentLines} {
		var messages []message
		for i := range lines {
			messages = append(messages, line(time.Duration(i)*time.Second, fmt.Sprint(i)))
		}
		want := written(messages)
		file := &repeating{logFile{messages: messages}}
		text := logtext.NewBuffer(1 << 20)
		f := NewReader(file, Options{}).NewFollowing(text)
		log := LogsOf(podWith(exited("c")))[0]
		for range 2 {
			if ended, _ := f.Stream(t.Context(), log); ended {
				break
			}
		}
		if _, err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(text.Head())); diff != "" {
			t.Errorf("of %d lines (-want +got):\n%s", lines, diff)
		}
	}
}

// FuzzResume follows a log that is made of bytes, over streams that are cut.
func FuzzResume(f *testing.F) {
	f.Add("one\ntwo\n\nthree", uint(5), uint(40), int64(1))
	f.Add("x\nx\nx\n", uint(64), uint(65), int64(0))
	f.Add("2026-11-05T10:00:00.000000000Z \n2026", uint(1), uint(30), int64(time.Second))
	f.Fuzz(func(t *testing.T, text string, first, second uint, step int64) {
		var messages []message
		for i, l := range strings.Split(text, "\n") {
			messages = append(messages, line(time.Duration(i)*(time.Duration(step)%time.Hour), l))
		}
		want, sent := written(messages), uint(len(send(messages, stampedOptions)))
		file := &logFile{messages: messages, cuts: []int{int(first % (sent + 1)), int(second % (sent + 1))}}
		if got, capture := followFile(t, file, nil); got != want {
			t.Errorf("cut at %v: %+v\n%q, not\n%q", file.cuts, capture, got, want)
		}
	})
}

// FuzzSplitter splits whatever comes in whatever pieces: nothing is lost but the
// timestamps.
func FuzzSplitter(f *testing.F) {
	f.Add([]byte("2026-11-05T10:00:00.000000000Z one\n2026-11-05T10:00:00+01:00 two"), uint(3))
	f.Add([]byte("failed to open log file"), uint(1))
	f.Fuzz(func(t *testing.T, stream []byte, size uint) {
		whole, pieces := &recorder{}, &recorder{}
		one, many := splitter{to: whole}, splitter{to: pieces}
		_, _ = one.Write(stream)
		for piece := range slices.Chunk(stream, int(size%64)+1) {
			_, _ = many.Write(piece)
		}
		if diff := cmp.Diff(whole.all, pieces.all); diff != "" || one.rest() != many.rest() {
			t.Errorf("in pieces of %d (-whole +pieces):\n%s%q, %q", size%64+1, diff, one.rest(), many.rest())
		}
		if left := strings.Join(whole.all, "") + one.rest(); len(left) > len(stream) || !strings.HasSuffix(string(stream), one.rest()) {
			t.Errorf("%q became %q", stream, left)
		}
	})
}

// recorder keeps the text of lines.
type recorder struct{ all []string }

func (r *recorder) begin(stamp)   { r.all = append(r.all, "") }
func (r *recorder) text(p []byte) { r.all[len(r.all)-1] += string(p) }
func (r *recorder) end()          { r.all[len(r.all)-1] += "\n" }
