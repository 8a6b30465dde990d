package localcluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/job-handler/job-handler/internal/localcluster/leftovers"
	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

// nodeLock is held by the supervisor of the machine's one node.
const nodeLock = "/run/job-handler-node.lock"

// privateFolders are the machine's folders of which a node's programs see
// their own version, in the data folder: what they write there is neither seen
// by other programs nor left behind.
var privateFolders = []string{
	"/run/containerd", "/run/mount", "/run/netns",
	"/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet",
	"/var/log/containers", "/var/log/pods",
}

// nodeOnMachine is what a node adds to the machine, made before any program
// of the cluster is started.
type nodeOnMachine struct {
	lock    *os.File
	record  leftovers.Record
	network netip.Prefix
}

// prepareMachine makes room for the node: after removing what a crashed one
// left, it makes the bridge, the cgroups and the folders to be mounted on.
func (c *Cluster) prepareMachine(ctx context.Context, wait bool) (*nodeOnMachine, error) {
	if err := ensureHostPrograms(ctx, c.progress); err != nil {
		return nil, err
	}
	lock, err := c.lockNode(ctx, wait)
	if err != nil {
		return nil, err
	}
	node := &nodeOnMachine{lock: lock}
	if err := c.fillMachine(ctx, node); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return node, nil
}

// lockNode takes the machine's one node, and waits for it if asked to.
func (c *Cluster) lockNode(ctx context.Context, wait bool) (*os.File, error) {
	lock, err := tryLock(nodeLock)
	if !errors.Is(err, errLocked) {
		return lock, err
	}
	where := "an unknown folder"
	if record, err := leftovers.Read(); err == nil && record != nil {
		where = record.Dir
	}
	if !wait {
		return nil, fmt.Errorf("a cluster with a node runs on this machine already, in %s; there can be only one", where)
	}
	return lockFile(ctx, nodeLock, func() {
		c.progress.line("waiting for the cluster with a node that runs in %s", where)
	})
}

func (c *Cluster) fillMachine(ctx context.Context, node *nodeOnMachine) error {
	removed, err := removeLeftovers(ctx)
	if err != nil {
		return err
	}
	if len(removed) > 0 {
		c.progress.line("removed what a cluster that ended badly had left: %s", strings.Join(removed, ", "))
	}
	if foreign := leftovers.ForeignChains(ctx); len(foreign) > 0 {
		return fmt.Errorf("another Kubernetes' kube-proxy works on this machine: there is iptables chain %s", foreign[0])
	}
	if node.network, err = freePodNetwork(); err != nil {
		return err
	}
	node.record = leftovers.Record{
		Dir: string(c.folder), Bridge: bridgeName, Network: networkName, Cgroup: c.cgroup(),
	}
	node.record.NoteSettings()
	for _, path := range privateFolders {
		if err := node.record.MakeFolder(path); err != nil {
			return fmt.Errorf("making a folder for the node: %w", err)
		}
	}
	if err := leftovers.MakeCgroup(node.record.Cgroup); err != nil {
		return err
	}
	return makeBridge(node.network)
}

// removeLeftovers removes what the record of a dead node tells of. The node's
// lock must be held.
func removeLeftovers(ctx context.Context) ([]string, error) {
	record, err := leftovers.Read()
	if err != nil {
		return nil, err
	}
	if record == nil {
		// Without a record, say after it was deleted by hand, the bridge is
		// still known by its name.
		record = &leftovers.Record{Bridge: bridgeName, Network: networkName}
		if exists, err := bridgeExists(); err != nil || !exists {
			return nil, err
		}
	}
	return leftovers.Remove(ctx, *record)
}

// cgroup is the name of the node's group in every hierarchy.
func (c *Cluster) cgroup() string { return filepath.Base(c.folder.runFolder()) }

// nodeConfig returns the supervisor's configuration for a node, and makes the
// folders that it names.
func (c *Cluster) nodeConfig() (supervisor.Config, error) {
	config := supervisor.Config{Node: true, Removed: c.folder.removed()}
	for _, target := range privateFolders {
		source := c.folder.path("node", strings.ReplaceAll(strings.TrimPrefix(target, "/"), "/", "-"))
		if err := os.MkdirAll(source, 0o755); err != nil {
			return config, fmt.Errorf("making a folder for the node: %w", err)
		}
		config.Private = append(config.Private, supervisor.PrivateFolder{Source: source, Target: target})
	}
	return config, nil
}

func (f folder) removed() string { return filepath.Join(f.runFolder(), "removed") }

// awaitNodes returns when every node is Ready and there are n of them.
func (c *Cluster) awaitNodes(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	if err != nil {
		return err
	}
	for {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err == nil && len(nodes.Items) == n && allReady(nodes.Items) {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d Ready nodes: %w (%s)", n, ctx.Err(), describeNodes(nodes, err))
		}
	}
}

func allReady(nodes []corev1.Node) bool {
	for i := range nodes {
		if ready := readyCondition(&nodes[i]); ready == nil || ready.Status != corev1.ConditionTrue {
			return false
		}
		// Pods are not scheduled before the taint of its beginning is gone.
		for _, taint := range nodes[i].Spec.Taints {
			if taint.Key == corev1.TaintNodeNotReady {
				return false
			}
		}
	}
	return true
}

func readyCondition(node *corev1.Node) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

func describeNodes(nodes *corev1.NodeList, err error) string {
	if err != nil {
		return err.Error()
	}
	for i := range nodes.Items {
		if ready := readyCondition(&nodes.Items[i]); ready != nil && ready.Status != corev1.ConditionTrue {
			return ready.Message
		}
	}
	return fmt.Sprintf("there are %d", len(nodes.Items))
}
