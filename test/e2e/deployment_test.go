package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/test/node"
)

const (
	// managerImage is the manager's image on the node.
	managerImage   = "localhost/job-handler:e2e"
	managerVersion = "v1.2.3-e2e"
	// replicas is how many of the manager there are.
	replicas = 2
)

// managerPods selects them.
var managerPods = client.MatchingLabels{"app.kubernetes.io/name": api.ManagerName}

// deployment is the manager as people install it: config/default as it is, but
// for the name of the image.
type deployment struct {
	client  client.WithWatch
	cluster *node.Cluster
	// program is the manager's, for its subcommands.
	program string
	// dir gets manifests, and the file deploy.log.
	dir     string
	objects []*unstructured.Unstructured
}

// install puts the manager's image on the node, applies config/default and
// waits until Jobs are sent to it. What it does is in the file deploy.log.
func (w *world) install(t *testing.T, archive string) {
	ctx, cancel := context.WithTimeout(t.Context(), managerTimeout)
	defer cancel()
	if err := w.cluster.LoadArchive(ctx, archive); err != nil {
		t.Fatal(err)
	}
	w.newDeployment()
	d := &w.manager
	var err error
	if d.objects, err = w.render(ctx, moduleRoot, "e2e"); err != nil {
		t.Fatal(err)
	}
	if err := d.deploy(ctx, d.objects); err != nil {
		log, _ := os.ReadFile(d.log())
		t.Fatalf("deploying the manager: %v\n%s\n%s", err, log, w.log.last(20))
	}
}

// newDeployment has the manager be deployed by what `make deploy` uses.
func (w *world) newDeployment() {
	w.manager.client, w.manager.cluster, w.manager.program, w.manager.dir = w.client, w.cluster, w.binary, w.dir
}

func (d *deployment) log() string { return filepath.Join(d.dir, "deploy.log") }

// deploy brings what is installed to what the objects say, and waits until Jobs are
// sent to it.
func (d *deployment) deploy(ctx context.Context, objects []*unstructured.Unstructured, flags ...string) error {
	manifest, err := d.manifest(objects)
	if err != nil {
		return err
	}
	return d.script(ctx, "deploy", append([]string{manifest}, flags...)...)
}

// undeploy removes the objects, and what would go on acting without them.
func (d *deployment) undeploy(ctx context.Context) error {
	manifest, err := d.manifest(d.objects)
	if err != nil {
		return err
	}
	return d.script(ctx, "undeploy", d.program, manifest)
}

// manifest returns a file with the objects.
func (d *deployment) manifest(objects []*unstructured.Unstructured) (string, error) {
	var text []byte
	for _, object := range objects {
		encoded, err := object.MarshalJSON()
		if err != nil {
			return "", err
		}
		text = append(text, encoded...)
	}
	file := filepath.Join(d.dir, "manifest.json")
	return file, os.WriteFile(file, text, 0o600)
}

// script runs a script of internal/tools, as `make` does for the local cluster.
func (d *deployment) script(ctx context.Context, name string, args ...string) error {
	log, err := os.OpenFile(d.log(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.CommandContext(ctx, filepath.Join(moduleRoot, "internal", "tools", name), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+d.cluster.Kubeconfig(),
		"PATH="+filepath.Dir(d.cluster.Kubectl())+string(os.PathListSeparator)+os.Getenv("PATH"))
	command.Stdout, command.Stderr = log, log
	if err := command.Run(); err != nil {
		return fmt.Errorf("running %s, see %s: %w", name, log.Name(), err)
	}
	return nil
}

// buildImage makes the archive of the manager's image, without a container
// engine.
func (w *world) buildImage(ctx context.Context) (string, error) {
	archive := filepath.Join(w.dir, "image.tar")
	return archive, inFolder(ctx, moduleRoot, "go", imageArgs(archive, managerImage, managerVersion)...)
}

func imageArgs(archive, image, version string) []string {
	return []string{
		"run", "-C", "internal/tools", "./image", "--output", archive,
		"--ref", image, "--platforms", "linux/" + runtime.GOARCH, "--version", version,
	}
}

// render returns the objects of config/default of the source, with the image of
// a tag.
func (w *world) render(ctx context.Context, source, tag string) ([]*unstructured.Unstructured, error) {
	root, err := filepath.Abs(source)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.EvalSymlinks(w.dir)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(dir, "overlay-")
	if err != nil {
		return nil, err
	}
	base, err := filepath.Rel(folder, filepath.Join(root, "config", "default"))
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("resources: [%s]\nimages:\n- {name: job-handler, newName: localhost/job-handler, newTag: %s}\n", base, tag)
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	rendered, err := exec.CommandContext(ctx, w.cluster.Kubectl(), "kustomize", folder).Output()
	if err != nil {
		return nil, fmt.Errorf("rendering config/default: %w", err)
	}
	return config.Decode(rendered)
}

// crash kills every replica as a machine that goes down would, and keeps them
// away.
func (d *deployment) crash(ctx context.Context) error {
	pods, err := d.pods(ctx)
	if err != nil {
		return err
	}
	// They do nothing any more, not even when they are told to end.
	if err := signalAll(pods, syscall.SIGSTOP); err != nil {
		return err
	}
	if err := d.scale(ctx, 0); err != nil {
		return err
	}
	if err := signalAll(pods, syscall.SIGKILL); err != nil {
		return err
	}
	return d.awaitGone(ctx)
}

func signalAll(pods []corev1.Pod, sig syscall.Signal) error {
	for i := range pods {
		if err := signal(&pods[i], sig); err != nil {
			return err
		}
	}
	return nil
}

// start brings all replicas back and waits until Jobs are sent to them.
func (d *deployment) start(ctx context.Context) error {
	if err := d.scale(ctx, replicas); err != nil {
		return err
	}
	return d.deploy(ctx, d.objects)
}

func (d *deployment) scale(ctx context.Context, replicas int32) error {
	object := &appsv1.Deployment{}
	if err := d.client.Get(ctx, client.ObjectKey{Namespace: api.ManagerNamespace, Name: api.ManagerName}, object); err != nil {
		return err
	}
	patch := client.MergeFrom(object.DeepCopy())
	object.Spec.Replicas = new(replicas)
	return d.client.Patch(ctx, object, patch)
}

// pods returns the manager's pods, those that end included.
func (d *deployment) pods(ctx context.Context) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := d.client.List(ctx, &list, client.InNamespace(api.ManagerNamespace), managerPods)
	return list.Items, err
}

func (d *deployment) awaitGone(ctx context.Context) error {
	return wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		pods, err := d.pods(ctx)
		return len(pods) == 0, err
	})
}
