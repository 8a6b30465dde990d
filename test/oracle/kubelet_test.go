package oracle_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
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
	// exitIndexAnnotation is the completion index of the only pod with that exit code;
	// none is any.
	exitIndexAnnotation = "oracle/exit-index"
	// holdAnnotation has it run until kubelet.end, or kubelet.endIndex.
	holdAnnotation = "oracle/hold"
)

const (
	nodeName  = "oracle"
	container = "main"
	// gracePeriod is what the container of a pod that is deleted has to end.
	// It ends lastWords after somebody follows its log, which its node has for as
	// long again.
	gracePeriod = 8 * time.Second
	lastWords   = time.Second
	// killed is the exit code of a container that was told to end.
	killed = 143
)

// kubelet plays nodes: it runs the pods that are bound to them, by what their
// annotations say, and serves their logs.
type kubelet struct {
	admin       client.Client
	certificate tls.Certificate

	mu sync.Mutex
	// nodes are those that it plays, by name.
	nodes map[string]*node
	// pods are all there ever were.
	pods map[types.UID]*pod
	// ended are Jobs whose held pods end.
	ended map[types.UID]bool
	// endedIndexes are Jobs and the completion index whose held pods end.
	endedIndexes map[types.UID]string
	// away are Jobs whose logs cannot be read.
	away map[types.UID]bool
}

// pod is what the kubelet knows of a pod.
type pod struct {
	*corev1.Pod
	job types.UID
	log []byte
	// over is closed when its container has ended, followed when somebody begins
	// to follow its log.
	over, followed func()
	isOver         <-chan struct{}
	isFollowed     <-chan struct{}
}

// startKubelet makes the first node and plays it, and others, until ctx ends.
func startKubelet(ctx context.Context, cluster *localcluster.Cluster, admin client.Client) (*kubelet, error) {
	pki := filepath.Join(cluster.Dir(), "pki")
	certificate, err := tls.LoadX509KeyPair(filepath.Join(pki, "serving.crt"), filepath.Join(pki, "serving.key"))
	if err != nil {
		return nil, err
	}
	k := &kubelet{
		admin: admin, certificate: certificate, nodes: map[string]*node{},
		pods: map[types.UID]*pod{}, ended: map[types.UID]bool{}, endedIndexes: map[types.UID]string{},
		away: map[types.UID]bool{},
	}
	context.AfterFunc(ctx, k.stop)
	if err := k.addNode(ctx, nodeName); err != nil {
		return nil, err
	}
	pods, err := cache.New(cluster.RESTConfig(), cache.Options{Scheme: scheme.Scheme, ByObject: map[client.Object]cache.ByObject{
		&corev1.Pod{}: {Field: fields.OneTermNotEqualSelector("spec.nodeName", "")},
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
	final := object.Status.Phase == corev1.PodSucceeded || object.Status.Phase == corev1.PodFailed
	switch {
	case object.DeletionTimestamp != nil && object.Status.Phase == corev1.PodRunning:
		k.awaitEnd(ctx, known)
		return k.setEnded(ctx, object, killed)
	case object.DeletionTimestamp != nil:
		return k.remove(ctx, object, known)
	case final:
		return nil
	case k.held(known):
		return k.setRunning(ctx, object)
	default:
		return k.setEnded(ctx, object, exitCode(object))
	}
}

// exitCode returns with what the container of a pod exits that nobody ends.
func exitCode(object *corev1.Pod) int {
	if index := object.Annotations[exitIndexAnnotation]; index != "" && index != completionIndex(object) {
		return 0
	}
	code, _ := strconv.Atoi(object.Annotations[exitAnnotation])
	return code
}

func completionIndex(object *corev1.Pod) string {
	return object.Annotations[batchv1.JobCompletionIndexAnnotation]
}

// awaitEnd waits until the container of a pod that is deleted ends.
func (k *kubelet) awaitEnd(ctx context.Context, known *pod) {
	left := time.Until(known.DeletionTimestamp.Time)
	select {
	case <-known.isFollowed:
		pause(ctx, min(lastWords, left))
	case <-time.After(left):
	case <-ctx.Done():
	}
}

// remove has a pod go whose container has ended, or never began.
func (k *kubelet) remove(ctx context.Context, object *corev1.Pod, known *pod) error {
	select {
	case <-known.isFollowed:
		pause(ctx, lastWords)
	default:
	}
	known.over()
	return k.admin.Delete(ctx, object, client.GracePeriodSeconds(0), client.Preconditions{UID: &object.UID})
}

// know takes note of the pod.
func (k *kubelet) know(object *corev1.Pod) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := k.pods[object.UID]
	if known == nil {
		known = &pod{log: logOf(object)}
		known.isOver, known.over = signal()
		known.isFollowed, known.followed = signal()
		if owner := metav1.GetControllerOf(object); owner != nil {
			known.job = owner.UID
		}
		k.pods[object.UID] = known
	}
	known.Pod = object
	return known
}

// signal returns a channel, and what closes it.
func signal() (<-chan struct{}, func()) {
	given := make(chan struct{})
	return given, sync.OnceFunc(func() { close(given) })
}

func (k *kubelet) held(known *pod) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known.Annotations[holdAnnotation] == "" || k.ended[known.job] {
		return false
	}
	index, some := k.endedIndexes[known.job]
	return !some || index != completionIndex(known.Pod)
}

// end has the held pods of a Job end.
func (k *kubelet) end(ctx context.Context, job types.UID) {
	k.mu.Lock()
	k.ended[job] = true
	k.mu.Unlock()
	k.syncAll(ctx, job)
}

// endIndex has the held pods of one completion index of a Job end.
func (k *kubelet) endIndex(ctx context.Context, job types.UID, index string) {
	k.mu.Lock()
	k.endedIndexes[job] = index
	k.mu.Unlock()
	k.syncAll(ctx, job)
}

// syncAll brings the pods of a Job on.
func (k *kubelet) syncAll(ctx context.Context, job types.UID) {
	for _, object := range k.objectsOf(job) {
		k.sync(ctx, object)
	}
}

// objectsOf returns the pods that a Job had, as they were seen last.
func (k *kubelet) objectsOf(job types.UID) []*corev1.Pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	var objects []*corev1.Pod
	for _, known := range k.pods {
		if known.job == job {
			objects = append(objects, known.Pod)
		}
	}
	return objects
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

// setRunning says of a pod that its container runs.
func (k *kubelet) setRunning(ctx context.Context, object *corev1.Pod) error {
	if object.Status.Phase == corev1.PodRunning {
		return nil
	}
	status := statusOf(object)
	status.Ready, status.Started = true, new(true)
	status.State.Running = &corev1.ContainerStateRunning{StartedAt: object.CreationTimestamp}
	return k.setStatus(ctx, object, corev1.PodRunning, status)
}

// setEnded says of a pod how its container has ended.
func (k *kubelet) setEnded(ctx context.Context, object *corev1.Pod, code int) error {
	status, phase := statusOf(object), corev1.PodSucceeded
	ended := &corev1.ContainerStateTerminated{
		Reason: "Completed", StartedAt: object.CreationTimestamp, FinishedAt: metav1.Now(), ContainerID: status.ContainerID,
	}
	if code != 0 {
		phase, ended.Reason, ended.ExitCode = corev1.PodFailed, "Error", int32(code)
	}
	status.State.Terminated = ended
	err := k.setStatus(ctx, object, phase, status)
	if err == nil {
		k.know(object).over()
	}
	return err
}

func (k *kubelet) setStatus(ctx context.Context, object *corev1.Pod, phase corev1.PodPhase, status corev1.ContainerStatus) error {
	changed := object.DeepCopy()
	changed.Status.Phase, changed.Status.StartTime = phase, &object.CreationTimestamp
	changed.Status.ContainerStatuses = []corev1.ContainerStatus{status}
	return k.admin.Status().Update(ctx, changed)
}

func statusOf(object *corev1.Pod) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: container, Image: object.Spec.Containers[0].Image, ImageID: "sha256:abc", ContainerID: "oracle://" + string(object.UID),
	}
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
