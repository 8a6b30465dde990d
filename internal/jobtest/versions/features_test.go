package versions

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/localcluster"
)

// noted notes how a test was skipped.
type noted struct{ skipped, failed string }

func (*noted) Helper()                             {}
func (n *noted) Skipf(format string, args ...any)  { n.skipped = fmt.Sprintf(format, args...) }
func (n *noted) Fatalf(format string, args ...any) { n.failed = fmt.Sprintf(format, args...) }

func TestNeed(t *testing.T) {
	for name, test := range map[string]struct {
		minor   string
		skipped bool
	}{
		"newest":       {"", false},
		"first":        {"1.32", false},
		"one before":   {"1.31", true},
		"oldest":       {"1.30", true},
		"one after it": {"1.33", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(localcluster.ReleaseVariable, test.minor)
			n := &noted{}
			Need(n, ManagedBy)
			if (n.skipped != "") != test.skipped || n.failed != "" {
				t.Errorf("%+v", n)
			}
			if test.skipped && (!strings.Contains(n.skipped, "Kubernetes "+test.minor) || !strings.Contains(n.skipped, "managedBy")) {
				t.Errorf("%q names neither feature nor version", n.skipped)
			}
			if has, err := Has(ManagedBy); has == test.skipped || err != nil {
				t.Errorf("Has = %v, %v", has, err)
			}
		})
	}
	t.Setenv(localcluster.ReleaseVariable, "newest")
	n := &noted{}
	if Need(n, ManagedBy); n.failed == "" {
		t.Error("what is no minor is taken for one")
	}
}

// Users read of each feature, and since when it is there.
func TestFeaturesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/kubernetes-versions.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range All() {
		if row := fmt.Sprintf("| %s | 1.%d |", f.Name, f.Since); !strings.Contains(string(page), row) {
			t.Errorf("docs/kubernetes-versions.md has no row that starts with %q", row)
		}
	}
}
