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

// addCacheReadiness makes mgr ready once its cache has the Namespaces, which the webhook
// of every replica needs. Jobs and pods matter only to the leader, and do not make other
// replicas unready. A filled cache that falls behind while the API server is away makes
// no replica unready either: no other replica would know more.
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
