package joblogs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// FuzzCollect reads the logs of pods in any state, from a kubelet that answers
// with the same text whatever it is asked.
func FuzzCollect(f *testing.F) {
	whole, err := json.Marshal(podWith(exited("c")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, "one\ntwo\n", false)
	f.Add(whole, "unable to retrieve container logs for containerd://c", false)
	f.Add([]byte(`{"spec":{"nodeName":"n","containers":[{"name":"a"},{"name":"a"}]},"status":{"containerStatuses":[
		{"name":"a","restartCount":-1,"lastState":{"terminated":{}},"state":{"waiting":{},"running":{},"terminated":{}}},{"name":""}]}}`), "\x00\r\n", true)
	f.Fuzz(func(t *testing.T, raw []byte, text string, fails bool) {
		pod := &corev1.Pod{}
		if json.Unmarshal(raw, pod) != nil || len(text) > 64<<10 {
			return
		}
		reader := NewReader(sameText{text, fails}, Options{})
		collected, release, err := reader.Collect(t.Context(), []*corev1.Pod{pod})
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		for _, log := range collected[0].Logs {
			if !log.Capture.Complete && log.Capture.Reason == "" {
				t.Fatalf("no reason: %+v", log)
			}
			if len(log.Capture.Message) > maxCaptureMessage {
				t.Fatalf("a message of %d bytes", len(log.Capture.Message))
			}
			if fails && log.Text != nil && log.Text.Seen() > 0 {
				t.Fatalf("text of a log that cannot be opened: %+v", log)
			}
		}
		for _, log := range LogsOf(pod) {
			if !log.Readable() {
				continue
			}
			following := reader.NewFollowing(io.Discard)
			if ended, capture := following.Stream(t.Context(), log); ended {
				following.Confirm(t.Context(), log)
			} else if capture.Reason == "" {
				t.Fatal("it broke off, and nobody says why")
			}
			if _, err := following.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

type sameText struct {
	text  string
	fails bool
}

func (s sameText) OpenLog(context.Context, string, string, *corev1.PodLogOptions) (io.ReadCloser, error) {
	if s.fails {
		return nil, errors.New(s.text)
	}
	return io.NopCloser(strings.NewReader(s.text)), nil
}
