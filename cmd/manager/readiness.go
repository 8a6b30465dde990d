package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/job-handler/job-handler/internal/policy"
)

// addCacheReadiness has mgr be ready once it knows the Namespaces, which the
// webhook asks for in every replica. Jobs and pods matter to the one that
// handles Jobs, and do not make the others unready. Once filled, a cache that
// falls behind because the API server is away makes nobody unready either: who
// would be asked in its place has no other one.
func addCacheReadiness(ctx context.Context, mgr ctrl.Manager) error {
	informer, err := mgr.GetCache().GetInformer(ctx, policy.NewNamespace(), cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching namespaces: %w", err)
	}
	return addReadiness(mgr, "caches", func(*http.Request) error {
		if !informer.HasSynced() {
			return errors.New("the namespaces have not been read yet (to do: if this persists, check the connection to " +
				"the API server and the manager's ClusterRole)")
		}
		return nil
	})
}

func addReadiness(mgr ctrl.Manager, name string, check healthz.Checker) error {
	if err := mgr.AddReadyzCheck(name, check); err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	return nil
}
