package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/jobtest/pinned"
	"github.com/job-handler/job-handler/test/node"
)

// neighbour is another project's controller that makes or changes Jobs.
type neighbour struct {
	tool      pinned.Tool
	namespace string
}

// neighbours are installed in this order: Kueue looks for JobSet when it starts.
var neighbours = []neighbour{
	{pinned.JobSet(), "jobset-system"},
	{pinned.Kueue(), "kueue-system"},
}

// neighboursTimeout includes building their programs, if that was not done before.
const neighboursTimeout = 40 * time.Minute

// TestNeighbours has other controllers of Jobs at work in the same cluster, with their
// webhooks.
func TestNeighbours(t *testing.T) {
	if testing.Short() {
		t.Skip("the neighbours take minutes: make test-operations")
	}
	if os.Geteuid() != 0 {
		t.Skip("the neighbours need root: their containers run on this machine")
	}
	programs := buildNeighbours(t)
	w := newWorld(t)
	for i, n := range neighbours {
		w.installNeighbour(t, n, programs[i])
	}
	for _, told := range []told{
		{"synced", synced},
		{"injected", injected},
		{"jobset", jobSet},
		{"jobset-restarted", jobSetRestarted},
		{"kueue-preempted", kueuePreempted},
		{"kueue-jobset", kueueJobSet},
	} {
		t.Run(told.name, func(t *testing.T) { told.tell(newStory(t, w, told.name)) })
	}
}

// buildNeighbours returns the program of each neighbour.
func buildNeighbours(t *testing.T) []string {
	ctx, cancel := context.WithTimeout(t.Context(), neighboursTimeout)
	defer cancel()
	programs := make([]string, len(neighbours))
	for i, n := range neighbours {
		var err error
		if programs[i], err = pinned.Program(ctx, moduleRoot, n.tool); err != nil {
			t.Fatal(err)
		}
	}
	return programs
}

// installNeighbour installs a neighbour as its project's config/default says, and
// returns when it is available.
func (w *world) installNeighbour(t *testing.T, n neighbour, program string) {
	ctx, cancel := context.WithTimeout(t.Context(), managerTimeout)
	defer cancel()
	image := "localhost/" + n.tool.Name + ":e2e"
	var objects []*unstructured.Unstructured
	var preparing errgroup.Group
	preparing.Go(func() error { return w.loadNeighbour(ctx, n, program, image) })
	preparing.Go(func() (err error) {
		objects, err = w.renderNeighbour(ctx, n, image)
		return err
	})
	if err := preparing.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := w.applyNeighbour(ctx, n, objects); err != nil {
		t.Fatal(err)
	}
	w.say("%s is available", n.tool.Name)
}

// loadNeighbour puts the image of a neighbour on the node. Like those that are
// published, it has the program under the name of every controller, and a user.
func (w *world) loadNeighbour(ctx context.Context, n neighbour, program, ref string) error {
	folder := filepath.Join(w.dir, "neighbours", n.tool.Name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	named := filepath.Join(folder, "manager")
	if err := os.Symlink(program, named); err != nil {
		return err
	}
	image, err := node.ProgramImage(named)
	if err != nil {
		return err
	}
	image, err = mutate.Config(image, v1.Config{Entrypoint: []string{"/manager"}, User: "65532:65532"})
	if err != nil {
		return err
	}
	return w.cluster.LoadImage(ctx, ref, image)
}

// renderNeighbour returns the objects of a neighbour with this image.
func (w *world) renderNeighbour(ctx context.Context, n neighbour, image string) ([]*unstructured.Unstructured, error) {
	source, err := pinned.Source(ctx, moduleRoot, n.tool)
	if err != nil {
		return nil, err
	}
	// It takes a path with an @ for a remote repository.
	render := exec.CommandContext(ctx, w.cluster.Kubectl(), "kustomize", ".")
	render.Dir = filepath.Join(source, "config", "default")
	rendered, err := render.Output()
	if err != nil {
		return nil, fmt.Errorf("rendering the manifests of %s: %w", n.tool.Name, err)
	}
	objects, err := config.Decode(rendered)
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			err = cmp.Or(err, onThisNode(object, image))
		}
	}
	return objects, err
}

// onThisNode has the container of a Deployment run this image, on a node that has few
// processors.
func onThisNode(deployment *unstructured.Unstructured, image string) error {
	path := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(deployment.Object, path...)
	if err != nil {
		return err
	}
	for _, each := range containers {
		container, ok := each.(map[string]any)
		if !ok {
			return fmt.Errorf("a container of Deployment %s is no object", deployment.GetName())
		}
		container["image"], container["imagePullPolicy"] = image, string(corev1.PullNever)
		delete(container, "resources")
	}
	return unstructured.SetNestedSlice(deployment.Object, containers, path...)
}

// applyNeighbour applies the objects of a neighbour and waits for its Deployments.
func (w *world) applyNeighbour(ctx context.Context, n neighbour, objects []*unstructured.Unstructured) error {
	var text []byte
	for _, object := range objects {
		encoded, err := yaml.Marshal(object)
		if err != nil {
			return err
		}
		text = append(append(text, "---\n"...), encoded...)
	}
	manifest := filepath.Join(w.dir, n.tool.Name+".yaml")
	if err := os.WriteFile(manifest, text, 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"apply", "--server-side", "--filename", manifest},
		{"wait", "--namespace", n.namespace, "--for=condition=Available", "--timeout=5m", "deployment", "--all"},
	} {
		command := exec.CommandContext(ctx, w.cluster.Kubectl(), append(args, "--kubeconfig", w.cluster.Kubeconfig())...)
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("installing %s: kubectl %s: %w\n%s", n.tool.Name, args[0], err, output)
		}
	}
	return nil
}

// admitted creates an object, once it is admitted: the API server takes a moment to
// trust a webhook whose certificate is new.
func (s *story) admitted(object *unstructured.Unstructured) {
	s.t.Helper()
	s.eventually(func(g Gomega) {
		g.Expect(s.w.client.Create(s.ctx(), object.DeepCopy(), client.DryRunAll)).To(Succeed())
	})
	s.create(object)
}
