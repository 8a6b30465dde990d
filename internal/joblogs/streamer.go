package joblogs

import (
	"context"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// LogStreamer opens the log of a container.
type LogStreamer interface {
	// OpenLog returns the log as a stream that ends with it, or the API
	// server's error. The end of ctx ends both the call and the stream.
	OpenLog(ctx context.Context, namespace, pod string, opts *corev1.PodLogOptions) (io.ReadCloser, error)
}

// FromClient returns a LogStreamer that reads through client, for example
// clientset.CoreV1(). The client's rest.Config must have no Timeout: it would
// cut long logs.
func FromClient(client corev1client.PodsGetter) LogStreamer { return clientStreamer{client} }

type clientStreamer struct{ client corev1client.PodsGetter }

// +kubebuilder:rbac:groups="",resources=pods/log,verbs=get

// OpenLog implements LogStreamer. It streams: reading at once hides the reason
// of an error where the client speaks protobuf.
func (s clientStreamer) OpenLog(
	ctx context.Context, namespace, pod string, opts *corev1.PodLogOptions,
) (io.ReadCloser, error) {
	body, err := s.client.Pods(namespace).GetLogs(pod, opts).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening log of pod %s/%s: %w", namespace, pod, err)
	}
	return body, nil
}
