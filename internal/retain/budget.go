package retain

// Budget names a bound on what results take.
type Budget string

const (
	// WithinBudget says that no bound is reached.
	WithinBudget Budget = ""
	// NamespaceBudget is the bound for each namespace.
	NamespaceBudget Budget = "namespace"
	// ClusterBudget is the bound for all namespaces together.
	ClusterBudget Budget = "cluster"
)

// Budgets bound what results take, in bytes; 0: there is no bound.
type Budgets struct {
	// Namespace is for each namespace, Cluster for all together.
	Namespace, Cluster int64
}

// Over returns the budget for which less is stored of new results in a namespace,
// given what results take there and in all namespaces, and how many namespaces have
// results.
//
// Above the cluster's budget this concerns first the namespaces that take their fair
// share of it or more: the budget divided by the namespaces that have results. There
// is always one, and a namespace that takes little is not shortened because another
// one takes much. Where the results still reach one and a half times the budget, it
// concerns every namespace: etcd has to be kept from filling up.
func (b Budgets) Over(here, all int64, namespaces int) Budget {
	switch {
	case b.Namespace > 0 && here >= b.Namespace:
		return NamespaceBudget
	case b.Cluster == 0 || all < b.Cluster:
		return WithinBudget
	case here >= b.Cluster/int64(max(1, namespaces)), all-b.Cluster >= b.Cluster/2:
		return ClusterBudget
	default:
		return WithinBudget
	}
}
