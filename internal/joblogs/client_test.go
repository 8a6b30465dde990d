package joblogs

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/job-handler/job-handler/internal/results"
)

// clientOf returns a LogStreamer on a real client of a server that answers
// with handler.
func clientOf(t *testing.T, handler http.HandlerFunc) LogStreamer {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	// Protobuf for objects, as the manager has it: errors must not get lost.
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{
		ContentType: runtime.ContentTypeProtobuf,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return FromClient(client.CoreV1())
}

// status answers as the API server does with an error.
func status(err *apierrors.StatusError) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		body, _ := runtime.Encode(scheme.Codecs.LegacyCodec(corev1.SchemeGroupVersion), &err.ErrStatus)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(err.ErrStatus.Code))
		_, _ = w.Write(body)
	}
}

// TestThroughClient has real HTTP answers go through the real client.
func TestThroughClient(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	kubelet404 := apierrors.NewGenericServerResponse(404, "get", pods, "p1", `pod "p1" does not exist`, 0, false)
	tests := map[string]struct {
		answer http.HandlerFunc
		want   results.Capture
	}{
		"200": {
			answer: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "one\n") },
			want:   whole,
		},
		"204": {
			answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
			want:   whole,
		},
		"200 that breaks off": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, "one\n")
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			},
			want: unavailable("reading log: unexpected EOF"),
		},
		"pod not found": {
			answer: status(apierrors.NewNotFound(pods, "p1")),
			want:   notRetryable(results.ReasonPodGone, `pods "p1" not found`),
		},
		"node not found": {
			answer: status(apierrors.NewNotFound(pods, "node-1")),
			want:   notRetryable(results.ReasonNodeGone, `pods "node-1" not found`),
		},
		"unknown to the kubelet": {
			answer: status(kubelet404),
			want:   unavailable("the server could not find the requested resource (get pods p1)"),
		},
		"previous container removed": {
			answer: status(apierrors.NewBadRequest(`previous terminated container "c" in pod "p1" not found`)),
			want:   notRetryable(results.ReasonContainerGone, `previous terminated container "c" in pod "p1" not found`),
		},
		"container removed": {
			answer: status(apierrors.NewBadRequest(`container "c" in pod "p1" is terminated`)),
			want:   notRetryable(results.ReasonContainerGone, `container "c" in pod "p1" is terminated`),
		},
		"container waits": {
			answer: status(apierrors.NewBadRequest(`container "c" in pod "p1" is waiting to start: ContainerCreating`)),
			want:   unavailable(`container "c" in pod "p1" is waiting to start: ContainerCreating`),
		},
		"405, by a node that serves no logs": {
			answer: status(apierrors.NewGenericServerResponse(405, "get", pods, "p1", "no logs here", 0, false)),
			want:   notRetryable(results.ReasonLogNotServed, "the server does not allow this method on the requested resource (get pods p1)"),
		},
		"501, by a node that serves no logs": {
			answer: status(apierrors.NewGenericServerResponse(501, "get", pods, "p1", "no logs here", 0, false)),
			want:   notRetryable(results.ReasonLogNotServed, `an error on the server ("no logs here") has prevented the request from succeeding (get pods p1)`),
		},
		"forbidden": {
			answer: status(apierrors.NewForbidden(pods, "p1", errors.New("no right"))),
			want:   retryable(results.ReasonLogForbidden, `pods "p1" is forbidden: no right`),
		},
		"unauthorized": {
			answer: status(apierrors.NewUnauthorized("who?")),
			want:   retryable(results.ReasonLogForbidden, "who?"),
		},
		"kubelet unreachable": {
			answer: status(apierrors.NewInternalError(errors.New("dial tcp 10.0.0.1:10250: connect: connection refused"))),
			want: retryable(results.ReasonNodeUnreachable,
				"Internal error occurred: dial tcp 10.0.0.1:10250: connect: connection refused"),
		},
		"kubelet fails": {
			answer: status(apierrors.NewInternalError(errors.New("boom"))),
			want:   unavailable("Internal error occurred: boom"),
		},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			reader := NewReader(clientOf(t, tc.answer), Options{})
			collected, release, err := reader.Collect(t.Context(), []*corev1.Pod{podWith(exited("c"))})
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			if diff := cmp.Diff(tc.want, collected[0].Logs[0].Capture); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestThroughClient(t *testing.T) {
	var got []string
	streamer := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.URL.String())
		fmt.Fprint(w, "one\n")
	})
	pod := podWith(corev1.ContainerStatus{
		Name: "c", State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(), RestartCount: 1,
	})
	_, release, err := NewReader(streamer, Options{}).Collect(t.Context(), []*corev1.Pod{pod})
	if err != nil {
		t.Fatal(err)
	}
	release()
	want := []string{
		"/api/v1/namespaces/batch/pods/p1/log?container=c&previous=true",
		"/api/v1/namespaces/batch/pods/p1/log?container=c&previous=true&tailLines=10",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnreachableServer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	collected, release, err := NewReader(FromClient(client.CoreV1()), Options{}).
		Collect(t.Context(), []*corev1.Pod{podWith(exited("c"))})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if got := collected[0].Logs[0].Capture; got.Reason != results.ReasonLogUnavailable || !got.Retryable {
		t.Errorf("%+v", got)
	}
}
