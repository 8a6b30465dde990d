package e2e

import (
	"os"
	"testing"
)

// operations are what administrators do to the manager, what happens to it
// while Jobs are at work, and what is much for one machine. They take minutes,
// one after the other.
var operations = []struct {
	name string
	tell func(*story)
}{
	{"huge-log", hugeLog},
	{"many-pods", manyPods},
	{"many-captures", manyCaptures},
	{"replaced", replaced},
	{"protect-deadline", protectDeadlinePassed},
	{"leaf-rotated", leafRotated},
	{"ca-rotated", caRotated},
	{"kubelet-stopped", kubeletStopped},
	{"lives-with-backoff", livesWithBackoff},
	{"node-deleted", nodeDeleted},
	{"node-lost-for-good", nodeLostForGood},
	{"node-deleted-followed", nodeDeletedFollowed},
}

func TestOperations(t *testing.T) {
	if testing.Short() {
		t.Skip("the operations take minutes: make test-operations")
	}
	if os.Geteuid() != 0 {
		t.Skip("the operations need root: their containers run on this machine")
	}
	// The log of huge-log is not rotated.
	w := newWorld(t, "--container-log-max-size=4Gi")
	for _, told := range operations {
		t.Run(told.name, func(t *testing.T) { told.tell(newStory(t, w, told.name)) })
	}
	t.Run("uninstalled", func(t *testing.T) { uninstalled(t, w) })
}
