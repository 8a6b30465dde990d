package e2e

import (
	"os"
	"testing"
)

// operations are what administrators do to the manager, and what happens to
// it, while Jobs are at work. Each takes minutes, one after the other.
var operations = []struct {
	name string
	tell func(*story)
}{
	{"replaced", replaced},
	{"leaf-rotated", leafRotated},
	{"ca-rotated", caRotated},
}

func TestOperations(t *testing.T) {
	if testing.Short() {
		t.Skip("the operations take minutes: make test-operations")
	}
	if os.Geteuid() != 0 {
		t.Skip("the operations need root: their containers run on this machine")
	}
	w := newWorld(t)
	for _, told := range operations {
		t.Run(told.name, func(t *testing.T) { told.tell(newStory(t, w, told.name)) })
	}
	t.Run("uninstalled", func(t *testing.T) { uninstalled(t, w) })
}
