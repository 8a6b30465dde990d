package joblogs

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

// stale is a log that was rotated while it was followed, by a kubelet that did not
// notice: the first stream brings nothing of the new file.
type stale struct {
	old, now []message
	follows  int
	probes   int
}

func (s *stale) OpenLog(ctx context.Context, _, _ string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	if !opts.Follow {
		s.probes++
		return io.NopCloser(strings.NewReader(send(s.now, opts))), nil
	}
	s.follows++
	if s.follows > 1 {
		return io.NopCloser(strings.NewReader(send(s.now, opts))), nil
	}
	body, _ := hangs(send(s.old, opts))(ctx, opts, "")
	return body, nil
}

// TestQuiet has a stream that brings nothing be given up once there is more of the
// log, and nothing of it be lost; one of a container that is silent stays open, and
// is asked about more and more rarely.
func TestQuiet(t *testing.T) {
	old := []message{line(0, "one"), line(time.Second, "two")}
	log := LogsOf(podWith(exited("c")))[0]
	synctest.Test(t, func(t *testing.T) {
		file := &stale{old: old, now: []message{line(2*time.Second, "three")}}
		text := logtext.NewBuffer(1 << 10)
		f := NewReader(file, Options{}).NewFollowing(text)
		began := time.Now()
		ended, capture := f.Stream(t.Context(), log)
		if ended || capture.Reason != results.ReasonEndedEarly || !capture.Retryable || time.Since(began) != firstQuiet {
			t.Errorf("after %s: %t, %+v", time.Since(began), ended, capture)
		}
		if ended, _ = f.Stream(t.Context(), log); !ended {
			t.Error("the second stream did not end")
		}
		if capture = f.Confirm(t.Context(), log); !capture.Complete {
			t.Errorf("the old file was read to its end: %+v", capture)
		}
		if _, err := f.Close(); err != nil || string(text.Head()) != "one\ntwo\nthree\n" {
			t.Errorf("%q, %v", text.Head(), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		file := &stale{old: old, now: old}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, capture := NewReader(file, Options{}).NewFollowing(logtext.NewBuffer(1<<10)).Stream(ctx, log)
		if capture.Reason != results.ReasonStillRunning || file.follows != 1 || file.probes < 10 || file.probes > 20 {
			t.Errorf("%+v, asked %d times", capture, file.probes)
		}
	})
}
