package main

import (
	"fmt"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/controllers/retention"
	"github.com/job-handler/job-handler/internal/holdings"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/resultstore"
)

// retentionPause limits deletions to 50 a second: they are not urgent, and Jobs are
// handled meanwhile.
const retentionPause = 20 * time.Millisecond

// addRetention makes mgr delete results that expire. It returns the store of results,
// which counts them unless retention is off.
func (p *parts) addRetention(mgr ctrl.Manager) (*resultstore.Store, error) {
	store := &resultstore.Store{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Namespace: p.opts.Manager.Namespace}
	opts := &p.opts.Retention
	if opts.Off() {
		return store, nil
	}
	measures, err := metrics.NewRetention(metrics.Served())
	if err != nil {
		return nil, err
	}
	store.Holdings = holdings.New(holdings.Options{Budgets: opts.Budgets(), Horizon: opts.Interval}, clock.RealClock{}, measures)
	retainer := &retention.Retainer{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Lists: p.lists, Store: store, Metrics: measures, Clock: clock.RealClock{},
		Options: retention.Options{
			Interval: opts.Interval, KeepCompleted: opts.KeepCompleted, KeepFailed: opts.KeepFailed,
			Pause: retentionPause, Defaults: p.defaults, TTLFloor: p.opts.Jobs.TTLFloor,
		},
	}
	if err := mgr.Add(retainer); err != nil {
		return nil, fmt.Errorf("adding retention: %w", err)
	}
	return store, nil
}
