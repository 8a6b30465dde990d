package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/job-handler/job-handler/internal/localcluster"
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

// KWOKMode is that of a cluster whose nodes KWOK plays: pods turn Running at once, those
// of Jobs Succeeded, and their logs are the content of a file.
const KWOKMode localcluster.Mode = "kwok"

// KWOKOptions describe a cluster with nodes that KWOK plays. It needs no root.
type KWOKOptions struct {
	localcluster.Options

	// Count is the number of its nodes, 1 by default.
	Count int
	// Log is the log of every container: a file in CRI format. Empty means a log of
	// one line.
	Log string
}

// StartKWOK starts a cluster as localcluster.Start does, with nodes that KWOK plays.
func StartKWOK(ctx context.Context, o KWOKOptions) (*localcluster.Cluster, error) {
	o.Count = max(1, o.Count)
	o.Nodes = &localcluster.Nodes{
		Mode: KWOKMode, Programs: localcluster.KWOKPrograms,
		Start: o.start,
	}
	return localcluster.Start(ctx, o.Options)
}

// start starts KWOK with its nodes. Their address, like the server that
// plays their kubelets, is the loopback one.
func (o KWOKOptions) start(ctx context.Context, c *localcluster.Cluster) error {
	kwok, err := kwok(ctx, c, o.Log)
	if err != nil {
		return err
	}
	if err := c.Launch(ctx, kwok); err != nil {
		return err
	}
	if err := makeFakeNodes(ctx, c, o.Count); err != nil {
		return err
	}
	return c.AwaitNodes(ctx, o.Count)
}

// kwok writes what KWOK reads and returns it.
func kwok(ctx context.Context, c *localcluster.Cluster, log string) (localcluster.Component, error) {
	stages, err := readStages(ctx)
	if err != nil {
		return localcluster.Component{}, err
	}
	folder := c.Folder()
	if log == "" {
		log = folder.Config("fake.log")
		if err := os.WriteFile(log, []byte(defaultFakeLog), 0o600); err != nil {
			return localcluster.Component{}, fmt.Errorf("writing the log of simulated containers: %w", err)
		}
	}
	if log, err = filepath.Abs(log); err != nil {
		return localcluster.Component{}, err
	}
	config := folder.Config("kwok.yaml")
	if err := os.WriteFile(config, append(stages, fmt.Sprintf(clusterLogs, log)...), 0o600); err != nil {
		return localcluster.Component{}, fmt.Errorf("writing KWOK's configuration: %w", err)
	}
	port := strconv.Itoa(c.NodePort(portKWOK))
	address := net.JoinHostPort(loopback, port)
	args := []string{
		"--config=" + config,
		"--kubeconfig=" + c.Kubeconfig(),
		"--manage-all-nodes=true",
		"--node-ip=" + loopback,
		"--node-port=" + port,
		"--server-address=" + address,
		"--tls-cert-file=" + folder.PKI("serving.crt"),
		"--tls-private-key-file=" + folder.PKI("serving.key"),
		"--node-lease-duration-seconds=40",
		// At the level below it writes a line for every patch.
		"--v=WARN",
	}
	return localcluster.Component{Name: localcluster.KWOK, Args: args, Health: "https://" + address + "/healthz"}, nil
}

// readStages returns the stages as one YAML stream.
func readStages(ctx context.Context) ([]byte, error) {
	root, err := localcluster.ModuleFolder(ctx, "kwok", "sigs.k8s.io/kwok")
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

func makeFakeNodes(ctx context.Context, c *localcluster.Cluster, n int) error {
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
