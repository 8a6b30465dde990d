package versions

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/localcluster"
)

// noted notes how a test was skipped.
type noted struct{ skipped string }

func (*noted) Helper()                            {}
func (*noted) Name() string                       { return "a test" }
func (n *noted) Skipf(format string, args ...any) { n.skipped = fmt.Sprintf(format, args...) }

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
			path := filepath.Join(t.TempDir(), "skips")
			t.Setenv(SkipsVariable, path)
			n := &noted{}
			Need(n, ManagedBy)
			if (n.skipped != "") != test.skipped {
				t.Errorf("skipped: %q", n.skipped)
			}
			if test.skipped && (!strings.Contains(n.skipped, "Kubernetes "+test.minor) || !strings.Contains(n.skipped, "managedBy")) {
				t.Errorf("%q names neither feature nor version", n.skipped)
			}
			listed, err := os.ReadFile(path)
			if test.skipped && string(listed) != "a test: "+n.skipped+"\n" || !test.skipped && !os.IsNotExist(err) {
				t.Errorf("the list of skips is %q, %v", listed, err)
			}
		})
	}
}

func TestEnding(t *testing.T) {
	for _, test := range []struct {
		minor string
		kind  batchv1.JobConditionType
		want  []batchv1.JobConditionType
	}{
		{"1.30", batchv1.JobComplete, []batchv1.JobConditionType{batchv1.JobComplete}},
		{"1.30", batchv1.JobFailed, []batchv1.JobConditionType{batchv1.JobFailed}},
		{"1.31", batchv1.JobComplete, []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobComplete}},
		{"", batchv1.JobFailed, []batchv1.JobConditionType{batchv1.JobFailureTarget, batchv1.JobFailed}},
	} {
		t.Setenv(localcluster.ReleaseVariable, test.minor)
		if diff := cmp.Diff(test.want, Ending(test.kind)); diff != "" {
			t.Errorf("%s on %q: %s", test.kind, test.minor, diff)
		}
	}
}

// Users read of each feature, and since when it is there.
func TestFeaturesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range All() {
		if row := fmt.Sprintf("| %s | 1.%d |", f.Name, f.Since); !strings.Contains(string(page), row) {
			t.Errorf("docs/compatibility.md has no row that starts with %q", row)
		}
	}
}
