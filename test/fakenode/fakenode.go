// Package fakenode gives tests a node as far as others see it: a Node object, and a
// server of logs that the API server connects to. It runs no containers.
package fakenode

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/localcluster"
)

const loopback = "127.0.0.1"

// Log is what a container wrote.
type Log struct {
	// Lines are its lines.
	Lines []string
	// Began is when it wrote the first one; the others came a millisecond apart.
	Began time.Time
	// Over is closed when the container ends, and with it what follows its log; nil:
	// it has ended.
	Over <-chan struct{}
}

// Start makes a Node with this name, and serves the logs of its containers until
// ctx ends. A container of which log returns false is unknown there.
func Start(ctx context.Context, cluster *localcluster.Cluster, admin client.Client, name string,
	log func(namespace, pod, container string) (Log, bool),
) error {
	pki := filepath.Join(cluster.Dir(), "pki")
	certificate, err := tls.LoadX509KeyPair(filepath.Join(pki, "serving.crt"), filepath.Join(pki, "serving.key"))
	if err != nil {
		return fmt.Errorf("reading the certificate of node %s: %w", name, err)
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort(loopback, "0"), &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return fmt.Errorf("serving the logs of node %s: %w", name, err)
	}
	logs := http.NewServeMux()
	logs.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(response http.ResponseWriter, request *http.Request) {
		found, known := log(request.PathValue("namespace"), request.PathValue("pod"), request.PathValue("container"))
		if !known {
			http.Error(response, "no such container", http.StatusNotFound)
			return
		}
		found.serve(response, request)
	})
	server := &http.Server{Handler: logs, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return register(ctx, admin, name, listener.Addr())
}

// register makes the object of a node whose kubelet is at an address.
func register(ctx context.Context, admin client.Client, name string, at net.Addr) error {
	address, ok := at.(*net.TCPAddr)
	if !ok {
		return errors.New("no port")
	}
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := admin.Create(ctx, object); err != nil {
		return fmt.Errorf("making node %s: %w", name, err)
	}
	// Controllers change nodes too.
	from := object.DeepCopy()
	object.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: loopback}}
	object.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(address.Port)
	if err := admin.Status().Patch(ctx, object, client.MergeFrom(from)); err != nil {
		return fmt.Errorf("making node %s: %w", name, err)
	}
	return nil
}

// serve answers as a kubelet does, of what the manager asks for.
func (l Log) serve(response http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	text := l.text(query.Get("tailLines"), query.Get("timestamps") == "true")
	if limit, err := strconv.Atoi(query.Get("limitBytes")); err == nil {
		text = text[:min(limit, len(text))]
	}
	_, _ = response.Write([]byte(text))
	if query.Get("follow") != "true" || l.Over == nil {
		return
	}
	_ = http.NewResponseController(response).Flush()
	select {
	case <-l.Over:
	case <-request.Context().Done():
	}
}

func (l Log) text(tailLines string, stamped bool) string {
	first := 0
	if tail, err := strconv.Atoi(tailLines); err == nil {
		first = max(0, len(l.Lines)-tail)
	}
	var text strings.Builder
	for i, line := range l.Lines[first:] {
		if stamped {
			at := l.Began.Add(time.Duration(first+i) * time.Millisecond)
			text.WriteString(at.UTC().Format(time.RFC3339Nano) + " ")
		}
		text.WriteString(line + "\n")
	}
	return text.String()
}
