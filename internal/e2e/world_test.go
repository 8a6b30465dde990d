package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/hostmanager"
	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	// clusterTimeout includes building the cluster's programs, should
	// nobody have done that before.
	clusterTimeout = 15 * time.Minute
	stopTimeout    = 2 * time.Minute
	managerTimeout = 2 * time.Minute

	moduleRoot = "../.."
	// keptLogs is where logs go after a failed run, below the module's root.
	keptLogs = "bin/e2e-logs"
)

// world is what all stories have in common.
type world struct {
	cluster *localcluster.Cluster
	// client reads from the API server and may do everything.
	client client.Client
	// dir is a folder of this run, on the machine and so on the node.
	dir     string
	binary  string
	log     managerLog
	manager *hostmanager.Manager
}

// newWorld starts a cluster and the manager. Whatever becomes of the test, it
// ends with everything stopped.
func newWorld(t *testing.T) *world {
	w := &world{dir: t.TempDir()}
	t.Cleanup(func() { w.keepLogs(t) })
	began := time.Now()
	built := make(chan error, 1)
	go func() { built <- w.build(t.Context()) }()
	w.startCluster(t)
	if err := <-built; err != nil {
		t.Fatal(err)
	}
	w.log = managerLog{path: filepath.Join(w.dir, "manager.log")}
	t.Cleanup(func() { w.endManager(t) })
	if err := within(t.Context(), w.startManager); err != nil {
		t.Fatalf("starting the manager: %v\n%s", err, w.log.last(20))
	}
	w.say("cluster and manager are ready after %s", time.Since(began).Round(time.Second))
	t.Cleanup(func() { w.say("the stories took %s, with start", time.Since(began).Round(time.Second)) })
	return w
}

func (w *world) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "e2e: "+format+"\n", args...)
}

func (w *world) startCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), clusterTimeout)
	defer cancel()
	var err error
	w.cluster, err = localcluster.Start(ctx, localcluster.Options{
		Mode: localcluster.WithNode, Dir: filepath.Join(w.dir, "cluster"), WaitForNode: true, Progress: os.Stderr,
	})
	if err != nil {
		t.Fatalf("starting the cluster: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stopTimeout)
		defer cancel()
		if err := w.cluster.Stop(ctx); err != nil {
			t.Errorf("stopping the cluster: %v", err)
		}
	})
	w.client, err = client.New(w.cluster.RESTConfig(), client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatalf("building a client: %v", err)
	}
}

// build makes the manager's program.
func (w *world) build(ctx context.Context) error {
	w.binary = filepath.Join(w.dir, "job-handler")
	command := exec.CommandContext(ctx, "go", "build", "-o", w.binary, "./cmd/manager")
	command.Dir = moduleRoot
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("building the manager: %w\n%s", err, output)
	}
	return nil
}

// startManager starts the manager and waits until Jobs are sent to it. What it
// logs is appended to the log of those before it.
func (w *world) startManager(ctx context.Context) error {
	output, err := os.OpenFile(w.log.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer output.Close()
	manager, err := hostmanager.Start(ctx, hostmanager.Options{
		Cluster: w.cluster, Binary: w.binary, Dir: filepath.Join(w.dir, "manager"),
		Args: []string{"--v=1", "--log-format=json"}, Output: output,
	})
	if err != nil {
		return err
	}
	w.manager = manager
	return manager.AwaitAdmission(ctx)
}

// killManager ends the manager as a crash would.
func (w *world) killManager(ctx context.Context) error {
	select {
	case <-w.manager.Done():
		return errors.New("it had ended before")
	default:
		return w.manager.Kill(ctx)
	}
}

// endManager ends the manager if it runs still.
func (w *world) endManager(t *testing.T) {
	if w.manager == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stopTimeout)
	defer cancel()
	if err := w.manager.Stop(ctx); err != nil {
		t.Errorf("stopping the manager: %v", errors.Join(err, w.manager.Kill(ctx)))
	}
}

// keepLogs saves the logs of a failed run.
func (w *world) keepLogs(t *testing.T) {
	if !t.Failed() {
		return
	}
	to := filepath.Join(moduleRoot, keptLogs)
	if err := os.RemoveAll(to); err != nil {
		t.Errorf("removing old logs: %v", err)
	}
	if w.cluster != nil {
		if err := os.CopyFS(to, os.DirFS(w.cluster.Logs())); err != nil {
			t.Errorf("saving the cluster's logs: %v", err)
		}
	}
	text, err := os.ReadFile(w.log.path)
	if err == nil {
		err = errors.Join(os.MkdirAll(to, 0o755), os.WriteFile(filepath.Join(to, "manager.log"), text, 0o644))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("saving the manager's log: %v", err)
	}
	t.Logf("logs of the cluster and the manager are in %s", keptLogs)
}
