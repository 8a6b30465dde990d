package localcluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// kwokStages are the folders of KWOK's module with the stages that let nodes
// and pods go on; the program has none of its own.
var kwokStages = []string{"pod/fast", "node/fast", "node/heartbeat-with-lease"}

// clusterLogs serves one file as the log of every container.
const clusterLogs = `
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata:
  name: all
spec:
  logs:
  - logsFile: %q
`

const defaultFakeLog = "2026-01-01T00:00:00.000000000Z stdout F hello from a simulated container\n"

// startKWOK starts KWOK with its nodes. Their address, like the server that
// plays their kubelets, is the loopback one.
func (c *Cluster) startKWOK(ctx context.Context, o Options) error {
	kwok, err := c.kwok(ctx, o.FakeLog)
	if err != nil {
		return err
	}
	if err := c.launchAll(ctx, o, []component{kwok}); err != nil {
		return err
	}
	if err := c.makeFakeNodes(ctx, o.FakeNodes); err != nil {
		return err
	}
	return c.awaitNodes(ctx, o.FakeNodes)
}

// kwok writes what KWOK reads and returns it.
func (c *Cluster) kwok(ctx context.Context, log string) (component, error) {
	stages, err := readStages(ctx)
	if err != nil {
		return component{}, err
	}
	if log == "" {
		log = c.folder.config("fake.log")
		if err := os.WriteFile(log, []byte(defaultFakeLog), 0o600); err != nil {
			return component{}, fmt.Errorf("writing the log of simulated containers: %w", err)
		}
	}
	if log, err = filepath.Abs(log); err != nil {
		return component{}, err
	}
	config := c.folder.config("kwok.yaml")
	if err := os.WriteFile(config, append(stages, fmt.Sprintf(clusterLogs, log)...), 0o600); err != nil {
		return component{}, fmt.Errorf("writing KWOK's configuration: %w", err)
	}
	args := []string{
		"--config=" + config,
		"--kubeconfig=" + c.folder.kubeconfig(),
		"--manage-all-nodes=true",
		"--node-ip=" + loopback,
		fmt.Sprintf("--node-port=%d", c.port(portKWOK)),
		"--server-address=" + hostPort(loopback, c.port(portKWOK)),
		"--tls-cert-file=" + c.folder.pki("serving.crt"),
		"--tls-private-key-file=" + c.folder.pki("serving.key"),
		"--node-lease-duration-seconds=40",
		// At the level below it writes a line for every patch.
		"--v=WARN",
	}
	return component{name: KWOK, args: args}, nil
}

// readStages returns the stages as one YAML stream.
func readStages(ctx context.Context) ([]byte, error) {
	root, err := moduleFolder(ctx, "kwok", "sigs.k8s.io/kwok")
	if err != nil {
		return nil, err
	}
	var documents []string
	for _, stage := range kwokStages {
		paths, err := filepath.Glob(filepath.Join(root, "kustomize", "stage", stage, "*.yaml"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if filepath.Base(path) == "kustomization.yaml" {
				continue
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("reading a stage of KWOK: %w", err)
			}
			documents = append(documents, string(data))
		}
	}
	return []byte(strings.Join(documents, "\n---\n")), nil
}

func (c *Cluster) makeFakeNodes(ctx context.Context, n int) error {
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error {
			_, err := client.CoreV1().Nodes().Create(ctx, fakeNode(i), metav1.CreateOptions{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("making simulated nodes: %w", err)
	}
	return nil
}

// fakeNode returns a node with more room than any test needs.
func fakeNode(i int) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("1000"),
		corev1.ResourceMemory: resource.MustParse("4Ti"),
		corev1.ResourcePods:   resource.MustParse("10000"),
	}
	name := fmt.Sprintf("fake-%d", i)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
			},
			Annotations: map[string]string{"node.alpha.kubernetes.io/ttl": "0"},
		},
		Status: corev1.NodeStatus{Allocatable: room, Capacity: room},
	}
}
