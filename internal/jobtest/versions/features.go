// Package versions decides which features the API server of a test has, and skips
// tests that need another one. Each feature here has a row in
// docs/compatibility.md, which tells users what they get instead.
package versions

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/localcluster"
)

// Feature is something of Kubernetes that not every supported minor has.
type Feature struct {
	// Name is how users call it: its row in docs/compatibility.md starts with
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
	// have ended, with a condition before that which says how it will end.
	DelayedEnd = Feature{"a Job ends after its pods", 31}
	// CompletionReason is that the condition Complete has a reason and a message.
	CompletionReason = Feature{"reason and message of a completed Job", 31}
	// SuccessPolicy is the field by which a Job succeeds before all of its pods have. An
	// older API server drops it.
	SuccessPolicy = Feature{"`spec.successPolicy`", 31}
	// MutatingPolicy is MutatingAdmissionPolicy, which is off where it is beta. Job
	// Handler uses none; a cluster's own may change what it writes.
	MutatingPolicy = Feature{"MutatingAdmissionPolicy", 36}
)

// All returns every feature.
func All() []Feature {
	return []Feature{ManagedBy, DelayedEnd, CompletionReason, SuccessPolicy, MutatingPolicy}
}

// SkipsVariable is the environment variable with the file to which a line is added for
// each test that is skipped: go test shows no skips of packages that pass.
const SkipsVariable = "JOBTEST_SKIPS"

// Skipper is a *testing.T or Ginkgo's.
type Skipper interface {
	Helper()
	Name() string
	Skipf(format string, args ...any)
}

// Need skips a test on a Kubernetes without the feature.
func Need(t Skipper, f Feature) {
	t.Helper()
	if Has(f) {
		return
	}
	why := fmt.Sprintf("Kubernetes %s does not have this: %s; it is there since 1.%d, see docs/compatibility.md",
		os.Getenv(localcluster.ReleaseVariable), f.Name, f.Since)
	if err := note(t.Name() + ": " + why); err != nil {
		why += fmt.Sprintf(" (and noting that failed: %v)", err)
	}
	t.Skipf("%s", why)
}

// note adds a line to the file of skips, if there is one.
func note(line string) error {
	path := os.Getenv(SkipsVariable)
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, line)
	return errors.Join(err, file.Close())
}

// Has reports whether the Kubernetes of this test has the feature. Without
// localcluster.ReleaseVariable that is the newest, which has all of them.
func Has(f Feature) bool {
	minor, err := strconv.Atoi(strings.TrimPrefix(os.Getenv(localcluster.ReleaseVariable), "1."))
	return err != nil || minor >= f.Since
}

// Ending returns the conditions that the Job controller gives to a Job that ends with
// this one, JobComplete or JobFailed, in their order. Before 1.31 it is alone.
func Ending(kind batchv1.JobConditionType) []batchv1.JobConditionType {
	criterion := batchv1.JobFailureTarget
	if kind == batchv1.JobComplete {
		criterion = batchv1.JobSuccessCriteriaMet
	}
	if !Has(DelayedEnd) {
		return []batchv1.JobConditionType{kind}
	}
	return []batchv1.JobConditionType{criterion, kind}
}
