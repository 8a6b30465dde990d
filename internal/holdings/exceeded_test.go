package holdings

import (
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

// What is said of a budget names the flag that sets it.
func TestExceeded(t *testing.T) {
	h := New(Options{Budgets: retain.Budgets{Namespace: 1 << 20, Cluster: 8 << 20}}, clocktesting.NewFakePassiveClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)), nil)
	for budget, want := range map[retain.Budget][]string{
		retain.NamespaceBudget: {results.ReasonNamespaceBudget, "--max-results-bytes-per-namespace", "1Mi", "team"},
		retain.ClusterBudget:   {results.ReasonClusterBudget, "--max-results-bytes)", "8Mi", "team"},
	} {
		said := ShortReason(budget) + " " + h.Exceeded("team", budget)
		for _, words := range want {
			if !strings.Contains(said, words) {
				t.Errorf("%s: %q lacks %q", budget, said, words)
			}
		}
	}
}
