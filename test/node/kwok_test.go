package node

import (
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/localcluster"
)

func TestKWOK(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	c, err := StartKWOK(t.Context(), KWOKOptions{Options: localcluster.Options{Progress: t.Output()}, Count: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	if err := c.Healthy(t.Context()); err != nil {
		t.Fatal(err)
	}
	kubectl(t, c, job("simulated", "exit 1"), "create", "-f", "-")
	kubectl(t, c, "", "wait", "--for=condition=Complete", hangs, "job/simulated")
	if log := kubectl(t, c, "", "logs", "job/simulated"); log != "hello from a simulated container\n" {
		t.Errorf("log = %q", log)
	}
	if nodes := kubectl(t, c, "", "get", "nodes", "-o", "name"); strings.Count(nodes, "node/") != 3 {
		t.Errorf("nodes = %s", nodes)
	}
}
