package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/atwork"
)

const (
	// mostWait bounds how long a Job that is set aside waits for its turn. A share of the
	// TTL floor, which holds the Job meanwhile, bounds it too.
	mostWait  = 10 * time.Minute
	waitShare = 4
)

// addKeeper makes mgr record which Jobs it is handling, through a connection that
// bypasses the write limiter. Only the leader records them: several managers could not
// tell which of them ended.
func (p *parts) addKeeper(_ context.Context, mgr ctrl.Manager) error {
	if !p.opts.Manager.LeaderElect {
		return nil
	}
	direct, err := client.New(p.direct, client.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), FieldOwner: api.ManagerName,
	})
	if err != nil {
		return fmt.Errorf("building the client that notes Jobs at work: %w", err)
	}
	p.jobs.AtWork = atwork.New(direct, atwork.Options{
		Namespace: p.opts.Manager.Namespace, Holder: instance() + "_" + string(uuid.NewUUID()),
		Longest: min(mostWait, p.opts.Jobs.TTLFloor/waitShare), Clock: clock.RealClock{},
	})
	if err := mgr.Add(p.jobs.AtWork); err != nil {
		return fmt.Errorf("adding the note of Jobs at work: %w", err)
	}
	return nil
}
