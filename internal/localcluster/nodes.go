package localcluster

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Mode says what the nodes of a cluster are. The package that adds nodes names theirs.
type Mode string

// ControlPlane is the mode of a cluster without nodes. No pod ever runs.
const ControlPlane Mode = "control-plane"

// Nodes are the nodes of a cluster, which has the whole control plane then.
type Nodes struct {
	Mode Mode
	// Programs are the sets of programs that the nodes need.
	Programs Set
	// Machine is where they run; nil if they need nothing of it.
	Machine Machine
	// Start adds the nodes when the control plane is ready, and returns when
	// AwaitNodes has found them.
	Start func(ctx context.Context, c *Cluster) error
}

// Machine is what nodes need beyond the data folder, such as a network.
type Machine interface {
	// Prepare makes it, before the first program of the cluster is started.
	Prepare(ctx context.Context, c *Cluster) (Place, error)
	// Remove removes it when the programs have ended, also after a crash, and
	// returns a phrase for each thing that it removed.
	Remove(ctx context.Context, c *Cluster) ([]string, error)
}

// Place is where the programs of a cluster run. The zero value is this machine.
type Place struct {
	// Address is the one that the API server listens on. Empty means the loopback
	// address.
	Address string
	// Held are files that stay open as long as the supervisor lives, such as locks.
	Held []*os.File
	// Supervisor is the package of the supervising program, as Compile takes it, and
	// Args are its arguments. Empty means that of this package.
	Supervisor Source
	Args       []string
	// Namespaces has the flags, such as CLONE_NEWPID, of the namespaces that the
	// supervisor is the first process of.
	Namespaces uintptr
}

// close closes the files here; the supervisor has its own copies.
func (p Place) close() {
	for _, file := range p.Held {
		_ = file.Close()
	}
}

// AwaitNodes returns when there are n nodes and every one is Ready. From then on the
// cluster is healthy only as long as they are.
func (c *Cluster) AwaitNodes(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c.state.Nodes = n
	return c.nodesReady(ctx, n)
}

func (c *Cluster) nodesReady(ctx context.Context, n int) error {
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
