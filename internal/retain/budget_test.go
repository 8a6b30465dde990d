package retain

import (
	"testing"

	"pgregory.net/rapid"
)

func TestOver(t *testing.T) {
	both := Budgets{Namespace: 256, Cluster: 1000}
	tests := map[string]struct {
		budgets    Budgets
		here, all  int64
		namespaces int
		want       Budget
	}{
		"nothing there":                            {both, 0, 0, 0, WithinBudget},
		"no bounds":                                {Budgets{}, 1 << 50, 1 << 51, 2, WithinBudget},
		"below both":                               {both, 255, 999, 9, WithinBudget},
		"the namespace's":                          {both, 256, 500, 2, NamespaceBudget},
		"both":                                     {both, 256, 1000, 10, NamespaceBudget},
		"the cluster's, with the fair share":       {both, 100, 1000, 10, ClusterBudget},
		"the cluster's, with less":                 {both, 99, 1000, 10, WithinBudget},
		"the cluster's, as a new namespace":        {both, 0, 1400, 10, WithinBudget},
		"far above the cluster's":                  {both, 0, 1500, 10, ClusterBudget},
		"no bound for the cluster":                 {Budgets{Namespace: 256}, 255, 1 << 50, 2, WithinBudget},
		"no bound for a namespace, within":         {Budgets{Cluster: 1000}, 999, 999, 1, WithinBudget},
		"no bound for a namespace, the only one":   {Budgets{Cluster: 1000}, 1000, 1000, 1, ClusterBudget},
		"more namespaces than bytes in the budget": {Budgets{Cluster: 10}, 0, 10, 11, ClusterBudget},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.budgets.Over(tc.here, tc.all, tc.namespaces); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// Whatever namespaces hold: above the cluster's budget the largest is shortened, and
// up to one and a half times the budget none that has less than its share.
func TestClusterBudgetIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		held := rapid.SliceOfN(rapid.Int64Range(1, 1<<30), 1, 50).Draw(t, "held")
		budgets := Budgets{Cluster: rapid.Int64Range(1<<20, 1<<34).Draw(t, "budget")}
		var all, largest int64
		for _, bytes := range held {
			all += bytes
			largest = max(largest, bytes)
		}
		over := func(bytes int64) bool { return budgets.Over(bytes, all, len(held)) == ClusterBudget }
		if over(largest) != (all >= budgets.Cluster) {
			t.Fatalf("the largest has %d of %d, budget %d", largest, all, budgets.Cluster)
		}
		for _, bytes := range held {
			if bytes*int64(len(held)) < budgets.Cluster-int64(len(held)) && 2*all < 3*budgets.Cluster-2 && over(bytes) {
				t.Fatalf("%d of %d in %d namespaces is shortened, budget %d", bytes, all, len(held), budgets.Cluster)
			}
		}
	})
}
