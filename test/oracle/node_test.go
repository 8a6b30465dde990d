package oracle_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const loopback = "127.0.0.1"

// node is a node as far as others can see it: an object, and a server of logs.
type node struct {
	port   int
	server *http.Server
	// hangs is true if it answers nobody.
	hangs atomic.Bool
}

// addNode makes a node, whose logs can be read.
func (k *kubelet) addNode(ctx context.Context, name string) error {
	n := &node{}
	if err := k.serve(n); err != nil {
		return err
	}
	k.mu.Lock()
	k.nodes[name] = n
	k.mu.Unlock()
	return k.register(ctx, name)
}

// register makes the object of a node.
func (k *kubelet) register(ctx context.Context, name string) error {
	k.mu.Lock()
	port := int32(k.nodes[name].port)
	k.mu.Unlock()
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := k.admin.Create(ctx, object); err != nil {
		return fmt.Errorf("making node %s: %w", name, err)
	}
	// Controllers change nodes too.
	from := object.DeepCopy()
	object.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: loopback}}
	object.Status.DaemonEndpoints.KubeletEndpoint.Port = port
	if err := k.admin.Status().Patch(ctx, object, client.MergeFrom(from)); err != nil {
		return fmt.Errorf("making node %s: %w", name, err)
	}
	return nil
}

// serve has the kubelet of a node answer, at the port where it did before.
func (k *kubelet) serve(n *node) error {
	address := net.JoinHostPort(loopback, strconv.Itoa(n.port))
	listener, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{k.certificate}})
	if err != nil {
		return err
	}
	bound, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return errors.New("no port")
	}
	n.port = bound.Port
	logs := http.NewServeMux()
	logs.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLog)
	n.server = &http.Server{Handler: http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if n.hangs.Load() {
			<-request.Context().Done()
			return
		}
		logs.ServeHTTP(response, request)
	})}
	go func(server *http.Server) { _ = server.Serve(listener) }(n.server)
	return nil
}

// stopNode ends the kubelet of a node; startNode brings it back.
func (k *kubelet) stopNode(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.nodes[name].server.Close()
}

func (k *kubelet) startNode(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.serve(k.nodes[name])
}

// hang has the kubelet of a node answer nobody, or answer again.
func (k *kubelet) hang(name string, hangs bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.nodes[name].hangs.Store(hangs)
}

func (k *kubelet) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range k.nodes {
		_ = n.server.Close()
	}
}

func (k *kubelet) serveLog(response http.ResponseWriter, request *http.Request) {
	known := k.named(request.PathValue("namespace"), request.PathValue("pod"))
	switch {
	case known == nil:
		http.Error(response, "no such pod", http.StatusNotFound)
		return
	case k.isAway(known.job):
		http.Error(response, "the container runtime is down", http.StatusInternalServerError)
		return
	}
	query, log := request.URL.Query(), known.log
	if tail, err := strconv.Atoi(query.Get("tailLines")); err == nil {
		log = lastLines(log, tail)
	}
	if query.Get("timestamps") == "true" {
		log = stamped(log, known.CreationTimestamp.Time)
	}
	if limit, err := strconv.Atoi(query.Get("limitBytes")); err == nil {
		log = log[:min(limit, len(log))]
	}
	_, _ = response.Write(log)
	if query.Get("follow") == "true" {
		_ = http.NewResponseController(response).Flush()
		known.followed()
		select {
		case <-known.isOver:
		case <-request.Context().Done():
		}
	}
}

// named returns the latest pod of this name.
func (k *kubelet) named(namespace, name string) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, known := range k.pods {
		if known.Namespace == namespace && known.Name == name {
			return known
		}
	}
	return nil
}

// goAway has the logs of a Job be unreadable, or readable again.
func (k *kubelet) goAway(job types.UID, away bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.away[job] = away
}

func (k *kubelet) isAway(job types.UID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.away[job]
}

func lastLines(log []byte, n int) []byte {
	lines := bytes.SplitAfter(log, []byte("\n"))
	if len(lines) > 0 && len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	return bytes.Join(lines[max(0, len(lines)-n):], nil)
}

// stamped returns the log with a time in front of each line.
func stamped(log []byte, at time.Time) []byte {
	var text strings.Builder
	lines := bufio.NewScanner(bytes.NewReader(log))
	for lines.Scan() {
		fmt.Fprintf(&text, "%s %s\n", at.Format(time.RFC3339Nano), lines.Text())
	}
	return []byte(text.String())
}
