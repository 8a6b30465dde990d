// Package versions says which features of Kubernetes the API server of a test has,
// and skips what needs another one. docs/kubernetes-versions.md tells users what they
// get instead; each feature here has a row there.
package versions

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/job-handler/job-handler/internal/localcluster"
)

// Feature is something of Kubernetes that not every supported minor has.
type Feature struct {
	// Name is how users call it: its row in docs/kubernetes-versions.md starts with
	// this.
	Name string
	// Since is the first minor that has it by default, such as 32 for 1.32.
	Since int
}

// The features. The source of Kubernetes says since when they are on
// (pkg/features/kube_features.go).
var (
	// ManagedBy is the field with the controller of a Job. An older API server drops
	// it.
	ManagedBy = Feature{"`spec.managedBy`", 32}
	// DelayedEnd is that a Job is called complete or failed only when all of its pods
	// have ended.
	DelayedEnd = Feature{"a Job ends after its pods", 31}
	// CompletionReason is that the condition Complete has a reason and a message.
	CompletionReason = Feature{"reason and message of a completed Job", 31}
)

// All returns every feature.
func All() []Feature { return []Feature{ManagedBy, DelayedEnd, CompletionReason} }

// Skipper is a *testing.T or Ginkgo's.
type Skipper interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Need skips a test on a Kubernetes without the feature.
func Need(t Skipper, f Feature) {
	t.Helper()
	missing, minor, err := f.missing(os.Getenv(localcluster.ReleaseVariable))
	if err != nil {
		t.Fatalf("%v", err)
	}
	if missing {
		t.Skipf("Kubernetes %s does not have %s, which is there since 1.%d: see docs/kubernetes-versions.md", minor, f.Name, f.Since)
	}
}

// Has reports whether the Kubernetes of this test has the feature.
func Has(f Feature) (bool, error) {
	missing, _, err := f.missing(os.Getenv(localcluster.ReleaseVariable))
	return !missing, err
}

// missing reports whether a minor, or the newest if it is "", does not have the
// feature, and which minor that is.
func (f Feature) missing(wanted string) (missing bool, minor string, err error) {
	minors, err := localcluster.Minors()
	if err != nil {
		return false, "", fmt.Errorf("looking for the newest minor: %w", err)
	}
	minor = cmp.Or(wanted, minors[len(minors)-1])
	number, err := strconv.Atoi(strings.TrimPrefix(minor, "1."))
	if err != nil {
		return false, "", fmt.Errorf("reading the minor %q: %w", minor, err)
	}
	return number < f.Since, minor, nil
}
