package oracle_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/localcluster"
)

// What the container of a pod does is told by annotations of the pod.
const (
	// exitAnnotation is the exit code; none is 0.
	exitAnnotation = "oracle/exit"
	// bytesAnnotation is how many bytes it logs that no compression makes much
	// smaller; none is one line.
	bytesAnnotation = "oracle/bytes"
	// holdAnnotation has it run until kubelet.end.
	holdAnnotation = "oracle/hold"
)

const (
	nodeName  = "oracle"
	loopback  = "127.0.0.1"
	container = "main"
)

// kubelet plays a node: it runs the pods that are bound to it, by what their
// annotations say, and serves their logs.
type kubelet struct {
	admin client.Client

	mu sync.Mutex
	// pods are all there ever were.
	pods map[types.UID]*pod
	// ended are Jobs whose held pods end.
	ended map[types.UID]bool
	// away are Jobs whose logs cannot be read.
	away map[types.UID]bool
}

// pod is what the kubelet knows of a pod.
type pod struct {
	*corev1.Pod
	job types.UID
	log []byte
}

// startKubelet makes the node and plays it until ctx ends.
func startKubelet(ctx context.Context, cluster *localcluster.Cluster, admin client.Client) (*kubelet, error) {
	k := &kubelet{admin: admin, pods: map[types.UID]*pod{}, ended: map[types.UID]bool{}, away: map[types.UID]bool{}}
	port, err := k.serve(ctx, filepath.Join(cluster.Dir(), "pki"))
	if err != nil {
		return nil, err
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}, Status: corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: loopback}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: port}},
	}}
	status := node.Status
	if err := admin.Create(ctx, node); err != nil {
		return nil, fmt.Errorf("making the node: %w", err)
	}
	// Controllers change nodes too.
	from := node.DeepCopy()
	node.Status = status
	if err := admin.Status().Patch(ctx, node, client.MergeFrom(from)); err != nil {
		return nil, fmt.Errorf("making the node: %w", err)
	}
	pods, err := cache.New(cluster.RESTConfig(), cache.Options{Scheme: scheme.Scheme, ByObject: map[client.Object]cache.ByObject{
		&corev1.Pod{}: {Field: fields.OneTermEqualSelector("spec.nodeName", nodeName)},
	}})
	if err != nil {
		return nil, err
	}
	informer, err := pods.GetInformer(ctx, &corev1.Pod{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, err
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { go k.sync(ctx, object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { go k.sync(ctx, object.(*corev1.Pod)) },
	})
	go func() { _ = pods.Start(ctx) }()
	return k, err
}

// sync brings a pod on until the API server has taken it.
func (k *kubelet) sync(ctx context.Context, object *corev1.Pod) {
	for ctx.Err() == nil {
		err := k.bringOn(ctx, object)
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsForbidden(err) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (k *kubelet) bringOn(ctx context.Context, object *corev1.Pod) error {
	known := k.know(object)
	switch {
	case object.DeletionTimestamp != nil:
		return k.admin.Delete(ctx, object, client.GracePeriodSeconds(0), client.Preconditions{UID: &object.UID})
	case object.Status.Phase == corev1.PodSucceeded, object.Status.Phase == corev1.PodFailed:
		return nil
	case k.held(known):
		return k.setStatus(ctx, object, corev1.PodRunning)
	default:
		return k.setStatus(ctx, object, "")
	}
}

// know takes note of the pod.
func (k *kubelet) know(object *corev1.Pod) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := k.pods[object.UID]
	if known == nil {
		known = &pod{log: logOf(object)}
		if owner := metav1.GetControllerOf(object); owner != nil {
			known.job = owner.UID
		}
		k.pods[object.UID] = known
	}
	known.Pod = object
	return known
}

func (k *kubelet) held(known *pod) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return known.Annotations[holdAnnotation] != "" && !k.ended[known.job]
}

// end has the held pods of a Job end.
func (k *kubelet) end(ctx context.Context, job types.UID) {
	k.mu.Lock()
	k.ended[job] = true
	var running []*corev1.Pod
	for _, known := range k.pods {
		if known.job == job {
			running = append(running, known.Pod)
		}
	}
	k.mu.Unlock()
	for _, object := range running {
		k.sync(ctx, object)
	}
}

// of returns the pods that a Job had.
func (k *kubelet) of(job types.UID) []*pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	var pods []*pod
	for _, known := range k.pods {
		if known.job == job {
			pods = append(pods, known)
		}
	}
	return pods
}

// setStatus sets the pod's status to phase, or, where that is empty, to its end.
func (k *kubelet) setStatus(ctx context.Context, object *corev1.Pod, phase corev1.PodPhase) error {
	if object.Status.Phase == phase {
		return nil
	}
	code, _ := strconv.Atoi(object.Annotations[exitAnnotation])
	now := metav1.Now()
	started := metav1.NewTime(object.CreationTimestamp.Time)
	status := corev1.ContainerStatus{Name: container, Image: object.Spec.Containers[0].Image, ImageID: "sha256:abc", ContainerID: "oracle://" + string(object.UID)}
	if phase == corev1.PodRunning {
		status.Ready, status.Started = true, new(true)
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: started}
	} else {
		phase = corev1.PodSucceeded
		ended := &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: started, FinishedAt: now, ContainerID: status.ContainerID}
		if code != 0 {
			phase, ended.Reason, ended.ExitCode = corev1.PodFailed, "Error", int32(code)
		}
		status.State.Terminated = ended
	}
	changed := object.DeepCopy()
	changed.Status.Phase, changed.Status.StartTime = phase, &started
	changed.Status.ContainerStatuses = []corev1.ContainerStatus{status}
	return k.admin.Status().Update(ctx, changed)
}

// logOf returns what the container of a pod writes: the same for all pods that
// are to write as much, but for its first line.
func logOf(object *corev1.Pod) []byte {
	var log bytes.Buffer
	fmt.Fprintf(&log, "hello from %s\n", object.Name)
	size, _ := strconv.Atoi(object.Annotations[bytesAnnotation])
	random, line := rand.New(rand.NewPCG(1, 2)), make([]byte, 57)
	for log.Len() < size {
		for i := range line {
			line[i] = byte(random.Uint32())
		}
		log.WriteString(base64.StdEncoding.EncodeToString(line) + "\n")
	}
	return log.Bytes()
}

// serve serves logs as a kubelet does, and returns the port.
func (k *kubelet) serve(ctx context.Context, pki string) (int32, error) {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(pki, "serving.crt"), filepath.Join(pki, "serving.key"))
	if err != nil {
		return 0, err
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort(loopback, "0"), &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return 0, err
	}
	handler := http.NewServeMux()
	handler.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLog)
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("no port")
	}
	return int32(address.Port), nil
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
