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

	"golang.org/x/sync/errgroup"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/test/node"
)

const (
	// These say that something hangs, on however slow a machine.
	// clusterTimeout includes building the cluster's programs, if that was not
	// done before.
	clusterTimeout = 30 * time.Minute
	stopTimeout    = 5 * time.Minute
	managerTimeout = 10 * time.Minute

	moduleRoot = "../.."
	// keptLogs is where logs go after a failed run, below the module's root.
	keptLogs = "bin/e2e-logs"
)

// world is what all stories have in common.
type world struct {
	cluster *node.Cluster
	// client reads from the API server and may do everything.
	client client.WithWatch
	// dir is a folder of this run, on the machine and so on the node.
	dir string
	// binary is the manager's program, for its subcommands.
	binary string
	// plugin is the program of kubectl job-results.
	plugin  string
	log     managerLog
	manager deployment
}

// newWorld starts a cluster with cert-manager, and arguments added to those of
// the kubelet, and deploys the manager there.
// Whatever becomes of the test, it ends with everything stopped.
func newWorld(t *testing.T, kubelet ...string) *world {
	began := time.Now()
	w, archive := newCluster(t, kubelet...)
	w.install(t, archive)
	w.say("cluster and manager are ready after %s", time.Since(began).Round(time.Second))
	t.Cleanup(func() { w.say("the stories took %s, with start", time.Since(began).Round(time.Second)) })
	return w
}

// newCluster starts the cluster of newWorld, and returns the archive of the
// manager's image, which is not on its node yet.
func newCluster(t *testing.T, kubelet ...string) (w *world, archive string) {
	w = &world{dir: t.TempDir()}
	t.Cleanup(func() { w.keepLogs(t) })
	var building errgroup.Group
	building.Go(func() (err error) {
		archive, err = w.buildImage(t.Context())
		return err
	})
	building.Go(func() error { return w.build(t.Context()) })
	w.startCluster(t, kubelet)
	if err := building.Wait(); err != nil {
		t.Fatal(err)
	}
	w.log = managerLog{path: filepath.Join(w.dir, "manager.log")}
	w.followLogs(t)
	return w, archive
}

func (w *world) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "e2e: "+format+"\n", args...)
}

func (w *world) startCluster(t *testing.T, kubelet []string) {
	ctx, cancel := context.WithTimeout(t.Context(), clusterTimeout)
	defer cancel()
	if err := os.Mkdir(w.kubeletSettings(), 0o755); err != nil {
		t.Fatal(err)
	}
	kubelet = append(kubelet, "--config-dir="+w.kubeletSettings())
	var err error
	w.cluster, err = node.Start(ctx, node.Options{Wait: true, Options: localcluster.Options{
		Dir: filepath.Join(w.dir, "cluster"), Progress: os.Stderr,
		CertManager: true, AuditPolicy: localcluster.AuditMetadata,
		ExtraArgs: map[string][]string{localcluster.Kubelet: kubelet},
	}})
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
	w.client, err = client.NewWithWatch(w.cluster.RESTConfig(), client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatalf("building a client: %v", err)
	}
}

// kubeletSettings is a folder of settings that a kubelet takes up when it starts.
func (w *world) kubeletSettings() string { return filepath.Join(w.dir, "kubelet.d") }

// build makes the manager's program and the kubectl plugin.
func (w *world) build(ctx context.Context) error {
	w.binary, w.plugin = filepath.Join(w.dir, "job-handler"), filepath.Join(w.dir, "kubectl-job_results")
	if err := inFolder(ctx, moduleRoot, "go", "build", "-o", w.binary, "./cmd/manager"); err != nil {
		return err
	}
	return inFolder(ctx, moduleRoot, "go", "build", "-o", w.plugin, "./cmd/kubectl-job_results")
}

// inFolder runs a command in the root of a module.
func inFolder(ctx context.Context, folder, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = folder
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s: %w\n%s", command, err, output)
	}
	return nil
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
