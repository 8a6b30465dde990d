package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/hostmanager"
	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	cleanupTimeout = time.Minute
	// clearTimeout is for all objects of a kind that a scenario left.
	clearTimeout = 10 * time.Minute
)

// controllers is what the controller manager is asked for where there is one.
type controllers int

const (
	noControllers controllers = iota
	// raisedLimits has client limits that let thousands of Jobs through.
	raisedLimits
	// defaultLimits are those of an unconfigured controller manager.
	defaultLimits
)

// A kubelet that is not there must not have its pods evicted.
const withoutNodeLifecycle = "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-pod-garbage-collector-controller"

// world is a control plane with a node whose logs can be read.
type world struct {
	settings *Settings
	kind     controllers
	cluster  *localcluster.Cluster
	admin    *kubernetes.Clientset
	kubelet  *kubelet
	stop     context.CancelFunc

	namespaces atomic.Int32
}

// newWorld starts a control plane whose etcd waits for the disk, as in
// production, and installs what the manager needs.
func newWorld(ctx context.Context, settings *Settings, kind controllers) (*world, error) {
	options := localcluster.Options{
		Sync: true, ControllerManager: kind != noControllers, Progress: settings.Progress,
		ExtraArgs: map[string][]string{
			localcluster.APIServer:         {"--delete-collection-workers=16"},
			localcluster.ControllerManager: {withoutNodeLifecycle},
		},
	}
	if kind == defaultLimits {
		options.ExtraArgs[localcluster.ControllerManager] = append(options.ExtraArgs[localcluster.ControllerManager],
			"--kube-api-qps=20", "--kube-api-burst=30", "--concurrent-job-syncs=5")
	}
	cluster, err := localcluster.Start(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("starting the control plane: %w", err)
	}
	w := &world{settings: settings, kind: kind, cluster: cluster}
	if err := w.prepare(ctx); err != nil {
		return nil, errors.Join(err, w.close(ctx))
	}
	return w, nil
}

func (w *world) prepare(ctx context.Context) error {
	var err error
	if w.admin, err = clientset(w.cluster.RESTConfig()); err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	if w.kubelet, err = startKubelet(serving, w.cluster, w.admin); err != nil {
		return err
	}
	// It installs roles and policies, which take effect while others begin.
	m, err := w.startManager(ctx)
	if err != nil {
		return err
	}
	return m.stop(ctx)
}

// close ends everything.
func (w *world) close(ctx context.Context) error {
	if w.stop != nil {
		w.stop()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	return w.cluster.Stop(ctx)
}

// clientset returns a client that speaks protobuf, as the manager's does.
func clientset(config *rest.Config) (*kubernetes.Clientset, error) {
	config = rest.CopyConfig(config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.QPS, config.Burst = -1, -1
	return kubernetes.NewForConfig(config)
}

// account returns the connection of the manager's ServiceAccount.
func (w *world) account() (*rest.Config, error) {
	const group = "system:serviceaccounts"
	return w.cluster.ConfigFor(api.ManagerUser, group, group+":"+api.ManagerNamespace)
}

// namespace makes a Namespace with what a controller would put in it for pods to
// be admitted, and has its logs served so.
func (w *world) namespace(ctx context.Context, optedIn bool, logs Logs) (string, error) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("bench-%d", w.namespaces.Add(1))}}
	if optedIn {
		namespace.Labels = map[string]string{api.EnabledLabel: api.True}
	}
	if _, err := w.admin.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return "", fmt.Errorf("creating namespace %s: %w", namespace.Name, err)
	}
	account := &corev1.ServiceAccount{
		ObjectMeta:                   metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"},
		AutomountServiceAccountToken: new(false),
	}
	if w.kind == noControllers {
		if _, err := w.admin.CoreV1().ServiceAccounts(namespace.Name).Create(ctx, account, metav1.CreateOptions{}); err != nil {
			return "", fmt.Errorf("creating the ServiceAccount of namespace %s: %w", namespace.Name, err)
		}
	} else if err := w.awaitServiceAccount(ctx, namespace.Name); err != nil {
		return "", err
	}
	w.kubelet.serve(namespace.Name, logs)
	return namespace.Name, nil
}

func (w *world) awaitServiceAccount(ctx context.Context, namespace string) error {
	return poll(ctx, time.Minute, func(ctx context.Context) (bool, error) {
		_, err := w.admin.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
}

// clear removes what a scenario left in a namespace. A request ends after a minute,
// with tens of thousands of objects before it has deleted all, and the next goes on.
func (w *world) clear(ctx context.Context, namespace string) error {
	options, all := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0)), PropagationPolicy: new(metav1.DeletePropagationBackground)}, metav1.ListOptions{}
	for what, remove := range map[string]func(context.Context, metav1.DeleteOptions, metav1.ListOptions) error{
		"Jobs":       w.admin.BatchV1().Jobs(namespace).DeleteCollection,
		"pods":       w.admin.CoreV1().Pods(namespace).DeleteCollection,
		"ConfigMaps": w.admin.CoreV1().ConfigMaps(namespace).DeleteCollection,
	} {
		var last error
		err := poll(ctx, clearTimeout, func(ctx context.Context) (bool, error) {
			last = remove(ctx, options, all)
			return last == nil, nil
		})
		if err != nil {
			return fmt.Errorf("deleting the %s of namespace %s: %w", what, namespace, cmp.Or(last, err))
		}
	}
	return nil
}

// memoryLimit is what the Go runtime is given where the container has the limit of
// the Deployment, 512Mi.
const memoryLimit = "GOMEMLIMIT=460MiB"

// manager is the manager's program at work.
type manager struct {
	*hostmanager.Manager

	began    time.Time
	profiles string
	log      io.Closer
}

// startManager starts the program, without the webhook, and returns when it is
// ready.
func (w *world) startManager(ctx context.Context, args ...string) (*manager, error) {
	return w.startManagerWith(ctx, hostmanager.Webhook{Off: true}, args...)
}

func (w *world) startManagerWith(ctx context.Context, webhook hostmanager.Webhook, args ...string) (*manager, error) {
	dir := filepath.Join(w.cluster.Dir(), "manager")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(w.settings.Output, "manager.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the manager's log: %w", err)
	}
	profiles, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	m := &manager{began: time.Now(), profiles: profiles, log: log}
	m.Manager, err = hostmanager.Start(ctx, hostmanager.Options{
		Cluster: w.cluster, Binary: w.settings.Manager, Dir: dir, Webhook: webhook, Output: log,
		Env:  []string{memoryLimit},
		Args: append([]string{"--pprof-bind-address", profiles}, args...),
	})
	if err != nil {
		log.Close()
		return nil, fmt.Errorf("starting the manager, whose log is in %s: %w", log.Name(), err)
	}
	return m, nil
}

// withManager calls f while the program runs, and ends it.
func (w *world) withManager(ctx context.Context, f func(*manager) error, args ...string) error {
	m, err := w.startManager(ctx, args...)
	if err != nil {
		return err
	}
	return errors.Join(f(m), m.stop(ctx))
}

// withIdleManager is withManager, once the manager has looked at all Jobs that it
// found.
func (w *world) withIdleManager(ctx context.Context, f func(*manager) error, args ...string) error {
	return w.withManager(ctx, func(m *manager) error {
		if err := m.awaitIdle(ctx); err != nil {
			return err
		}
		return f(m)
	}, args...)
}

func (m *manager) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	defer m.log.Close()
	return m.Stop(ctx)
}

// freeAddress returns a loopback address that is free now.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
