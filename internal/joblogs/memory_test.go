package joblogs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/fairshare"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

const longLine = "0123456789abcde\n"

// longLog is twice as long as what a buffer holds.
var longLog = strings.Repeat(longLine, 2*maxBuffer/len(longLine))

// textOf returns what is compressed.
func textOf(t *testing.T, l *logpack.Log) string {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(bytes.Join(l.Members(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLongLogIsCompressed(t *testing.T) {
	k := &kubelet{logs: map[string]string{
		"p1/long": longLog, "p1/fits": longLog[:maxBuffer], "p1/more": longLog[:maxBuffer] + "x", "p1/short": "one\n", "p1/none": "",
	}}
	pod := podWith(exited("long"), exited("fits"), exited("more"), exited("none"))
	collected, release, err := NewReader(k, Options{}).Collect(t.Context(), []*corev1.Pod{pod})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	logs := collected[0].Logs
	if got := textOf(t, logs[0].Packed); got != longLog || !logs[0].Capture.Complete {
		t.Errorf("%d bytes of %d, %+v", len(got), len(longLog), logs[0].Capture)
	}
	if logs[1].Packed != nil || logs[3].Packed != nil {
		t.Error("a log that fits into its buffer is compressed")
	}
	if got := textOf(t, logs[2].Packed); got != k.logs["p1/more"] {
		t.Errorf("%d bytes", len(got))
	}
}

func TestLongLogIsRedacted(t *testing.T) {
	rules, err := redact.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	const line, replaced = "url=pg://me:hunter2@db/x\n", "url=pg://me:[redacted url-password]@db/x\n"
	const lines = 2 * maxBuffer / len(line)
	k := &kubelet{logs: map[string]string{"p1/c": strings.Repeat(line, lines)}}
	collected, release, err := NewReader(k, Options{Redact: rules}).Collect(t.Context(), []*corev1.Pod{podNamed("p1")})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	l := collected[0].Logs[0]
	if got := textOf(t, l.Packed); got != strings.Repeat(replaced, lines) || !l.Capture.Complete || l.Redacted["url-password"] != int64(lines) {
		t.Errorf("%d bytes, %+v, %v", len(got), l.Capture, l.Redacted)
	}
}

// Jobs with long logs wait for each other, with no stream open, however few
// streams there are, and read again what they gave up.
func TestLongLogsWaitForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kubelet{logs: map[string]string{}}
		reader := NewReader(k, Options{MemoryBytes: 64 << 20, ResultsBytes: 16 << 20, Streams: 1})
		done := make(chan error)
		const jobs = 5
		var podsOf [jobs][]*corev1.Pod
		for i := range podsOf {
			for j := range 2 {
				podsOf[i] = append(podsOf[i], podNamed(fmt.Sprintf("p%d-%d", i, j)))
				k.logs[podsOf[i][j].Name+"/c"] = longLog
			}
		}
		for _, pods := range podsOf {
			go func() {
				collected, release, err := reader.Collect(t.Context(), pods)
				defer release()
				for _, pod := range collected {
					if l := pod.Logs[0]; err == nil && (!l.Capture.Complete || l.Packed.Excerpt().HeadBytes != int64(len(longLog))) {
						err = fmt.Errorf("%s: %+v", pod.Pod.Name, l.Capture)
					}
				}
				done <- err
			}()
		}
		for range jobs {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		// Until all have given back what they had.
		synctest.Wait()
		if m := reader.memory; !take(m.short, m.shortBytes) || !take(m.long, m.longBytes) {
			t.Error("memory is not given back")
		}
	})
}

func TestWaitingForLongLogMemoryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kubelet{logs: map[string]string{"p1/c": longLog}}
		reader := NewReader(k, Options{})
		take(reader.memory.long, reader.memory.longBytes)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			cancel()
		}()
		_, release, err := reader.Collect(ctx, []*corev1.Pod{podNamed("p1")})
		release()
		if err == nil || k.open != 0 || !take(reader.memory.short, reader.memory.shortBytes) {
			t.Errorf("%v, %d streams open, or memory is not given back", err, k.open)
		}
	})
}

// A log of 1 GiB takes no more memory than its results may, and its counts are
// exact.
func TestGiBLog(t *testing.T) {
	const size = 1 << 30
	k := &kubelet{faults: map[string]fault{"p1/c": func(_ context.Context, opts *corev1.PodLogOptions, _ string) (io.ReadCloser, error) {
		if opts.TailLines != nil {
			return io.NopCloser(&endless{left: 160}), nil
		}
		return io.NopCloser(&endless{left: size}), nil
	}}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	collected, release, err := NewReader(k, Options{}).Collect(t.Context(), []*corev1.Pod{podNamed("p1")})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	runtime.ReadMemStats(&after)
	l := collected[0].Logs[0]
	e := l.Packed.Excerpt()
	if l.Text.Seen() != size || e.Kept()+e.OmittedBytes != size || e.OmittedLines != e.OmittedBytes/16 {
		t.Errorf("%d bytes seen, %+v", l.Text.Seen(), e)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 32<<20 && !jobtest.RaceDetector {
		t.Errorf("%d bytes allocated in all", allocated)
	}
	start := time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
	job := jobtest.MakeJob("batch", "large").UID("uid").Started(start).Completed(start.Add(time.Minute)).Obj()
	content, err := results.Build(results.Run{Job: job, Outcome: jobstatus.Of(job), Pods: collected})
	if err != nil || content.Bytes() > api.MaxResultsBytes || !strings.HasPrefix(content.Capture.Why, results.ReasonShortenedToFit) {
		t.Fatalf("%v, %+v", err, content)
	}
	var record results.Record
	if err := json.Unmarshal([]byte(content.Data[api.DataJobJSON]), &record); err != nil {
		t.Fatal(err)
	}
	capture := record.Pods[0].Containers[0].Capture
	left := capture.BytesSeen - capture.BytesKept
	want := logtext.Count(left, "byte") + " in " + logtext.Count(left/16, "line") + " left out"
	if capture.BytesSeen != size || capture.Message != want {
		t.Errorf("%+v, want %q", capture, want)
	}
}

// take takes so much of a pool, and reports whether it could.
func take(pool *fairshare.Pool, size int64) bool {
	return pool.TryAcquire(fairshare.Request{Owner: "another", Size: size}) != nil
}
