package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A leader renews its lease every 2 seconds and gives it up when it is stopped.
const leasePoll = 500 * time.Millisecond

// ErrRunning says that a manager is running.
var ErrRunning = errors.New("the manager is running and would undo this: stop it first")

// awaitStopped returns nil once no manager holds the lease, and ErrRunning if one
// renews it for longer than Wait.
func (r *Releaser) awaitStopped(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	for {
		err := r.lookForLeader(ctx)
		if !errors.Is(err, ErrRunning) || patience.Err() != nil {
			return err
		}
	}
}

// lookForLeader returns nil once no manager holds the lease, at the latest when
// it was not renewed for as long as it lasts, and ErrRunning as soon as it is
// renewed. It compares no clocks: this machine's may be wrong.
func (r *Releaser) lookForLeader(ctx context.Context) error {
	first, err := r.leaseSpec(ctx)
	if err != nil || ptr.Deref(first.HolderIdentity, "") == "" {
		return err
	}
	lasts := time.Duration(ptr.Deref(first.LeaseDurationSeconds, 0))*time.Second + leasePoll
	r.sayWaiting(*first.HolderIdentity, lasts)
	err = wait.PollUntilContextTimeout(ctx, leasePoll, lasts, false, func(ctx context.Context) (bool, error) {
		now, err := r.leaseSpec(ctx)
		switch {
		case err != nil:
			return false, err
		case ptr.Deref(now.HolderIdentity, "") == "":
			return true, nil
		case !equality.Semantic.DeepEqual(first, now):
			return false, fmt.Errorf("lease %s is renewed by %s: %w", r.Lease, *now.HolderIdentity, ErrRunning)
		default:
			return false, nil
		}
	})
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// sayWaiting says once of each holder that it is waited for.
func (r *Releaser) sayWaiting(holder string, lasts time.Duration) {
	if holder == r.said {
		return
	}
	r.said = holder
	fmt.Fprintf(r.Out, "Waiting up to %s to see whether %s is still running (lease %s)\n", max(lasts, r.Wait), holder, r.Lease)
}

// leaseSpec returns the zero value where there is no lease.
func (r *Releaser) leaseSpec(ctx context.Context) (coordinationv1.LeaseSpec, error) {
	lease := &coordinationv1.Lease{}
	if err := client.IgnoreNotFound(r.Client.Get(ctx, r.Lease, lease)); err != nil {
		return coordinationv1.LeaseSpec{}, fmt.Errorf("reading lease %s: %w", r.Lease, err)
	}
	return lease.Spec, nil
}
