package harness

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	nodeName = "bench"
	loopback = "127.0.0.1"
)

// Logs is how the logs of a namespace's pods are served.
type Logs struct {
	// Bytes is how long each is.
	Bytes int
	// Delay is how long the kubelet takes to answer.
	Delay time.Duration
	// HangEvery has the logs of every so manieth pod never come; 0: of none.
	HangEvery int
}

// kubelet serves logs as a kubelet does, on loopback, where the API server
// looks for those of nodeName.
type kubelet struct {
	port int32

	mu         sync.Mutex
	namespaces map[string]*served
	texts      map[int][]byte
}

// served are the logs of a namespace.
type served struct {
	Logs

	text, tail []byte
}

// startKubelet serves until ctx ends, and makes the node.
func startKubelet(ctx context.Context, cluster *localcluster.Cluster, admin kubernetes.Interface) (*kubelet, error) {
	k := &kubelet{namespaces: map[string]*served{}, texts: map[int][]byte{}}
	if err := k.listen(ctx, filepath.Join(cluster.Dir(), "pki")); err != nil {
		return nil, fmt.Errorf("serving logs: %w", err)
	}
	node, err := admin.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("making the node: %w", err)
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: loopback}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = k.port
	node.ResourceVersion = "" // a controller may have changed something else of it
	if _, err := admin.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return nil, fmt.Errorf("making the node: %w", err)
	}
	return k, nil
}

func (k *kubelet) listen(ctx context.Context, pki string) error {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(pki, "serving.crt"), filepath.Join(pki, "serving.key"))
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort(loopback, "0"), &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return err
	}
	handler := http.NewServeMux()
	handler.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLog)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return errors.New("no port")
	}
	k.port = int32(address.Port)
	return nil
}

// serve has the logs of the pods of namespace served so.
func (k *kubelet) serve(namespace string, logs Logs) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := k.texts[logs.Bytes]
	if text == nil {
		text = logText(logs.Bytes)
		k.texts[logs.Bytes] = text
	}
	k.namespaces[namespace] = &served{Logs: logs, text: text, tail: lastLines(text, 10)}
}

func (k *kubelet) serveLog(response http.ResponseWriter, request *http.Request) {
	k.mu.Lock()
	logs := k.namespaces[request.PathValue("namespace")]
	k.mu.Unlock()
	if logs == nil {
		http.Error(response, "no such pod", http.StatusNotFound)
		return
	}
	if logs.HangEvery > 0 && indexOf(request.PathValue("pod"))%logs.HangEvery == 0 {
		<-request.Context().Done()
		return
	}
	if logs.Delay > 0 {
		select {
		case <-request.Context().Done():
			return
		case <-time.After(logs.Delay):
		}
	}
	_, _ = response.Write(logs.selected(request.URL.Query()))
}

// selected returns what a query selects, of those that the manager and kubectl
// send.
func (s *served) selected(query map[string][]string) []byte {
	first := func(key string) string { return strings.Join(query[key], "") }
	text := s.text
	if first("tailLines") != "" {
		text = s.tail
	}
	if first("timestamps") == "true" {
		// The first line is as old as the container, so that no head seems to be gone.
		text = append([]byte(time.Now().Add(-2*ran).UTC().Format(time.RFC3339Nano)+" "), text...)
	}
	if limit, err := strconv.Atoi(first("limitBytes")); err == nil {
		text = text[:min(limit, len(text))]
	}
	return text
}

// indexOf returns the number at the end of a pod's name.
func indexOf(pod string) int {
	number, _ := strconv.Atoi(pod[strings.LastIndexByte(pod, '-')+1:])
	return number
}

// logText returns a log of so many bytes, such as a program that works on
// batches writes: it compresses to about a fifth.
func logText(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same log each time
	var text bytes.Buffer
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	words := strings.Fields("read wrote merged skipped retried validated indexed archived flushed compacted")
	for text.Len() < size {
		at = at.Add(time.Duration(random.IntN(50)) * time.Millisecond)
		fmt.Fprintf(&text, "%s level=info msg=%q batch=%d records=%d took=%dms host=worker-%02d\n", at.Format(time.RFC3339Nano),
			words[random.IntN(len(words))]+" batch", random.IntN(100_000), random.IntN(10_000), random.IntN(900), random.IntN(40))
	}
	text.Truncate(size)
	if size > 0 {
		text.Bytes()[size-1] = '\n'
	}
	return text.Bytes()
}

func lastLines(text []byte, n int) []byte {
	lines := bytes.SplitAfter(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	tail := bytes.Join(lines[max(0, len(lines)-n):], nil)
	if len(text) > 0 {
		tail = append(tail, '\n')
	}
	return tail
}
