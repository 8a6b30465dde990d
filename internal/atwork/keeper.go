// Package atwork notes on a Lease which Jobs the manager is handling, so that the
// next process knows what a killed one was doing, and decides when each Job may
// start. Package setaside has the rules. This package must not import controllers.
//
// The Lease is separate from that of the leader election. The elector writes its
// Lease as it last saw it, so each note would make its next renewal fail with a
// conflict.
package atwork

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/setaside"
)

const (
	// interval is how often the Lease is written at most. A Job that is handled for
	// less than this is not noted, unless it has to be.
	interval = time.Second
	// writeTimeout bounds each request, and endTimeout what the end waits for it.
	writeTimeout = 5 * time.Second
	endTimeout   = 3 * time.Second
	// openAfter is how long Jobs wait for a Lease that cannot be read or written.
	openAfter = 10 * time.Second
	// refusedRetry is when the Lease is asked for again where that is refused.
	refusedRetry = time.Minute
	// carefulFor is how long after an end that nobody asked for each Job is noted
	// before it is handled, and batch how many begin with each note.
	carefulFor = 10 * time.Minute
	batch      = 32
)

// Keeper keeps the note, and is a Runnable of the leader. A nil Keeper gives each
// Job its turn at once.
type Keeper struct {
	client client.Client
	clock  clock.WithTickerAndDelayedExecution
	key    types.NamespacedName
	// longest is how long a Job that is set aside waits at most: for others to end,
	// and after it has ended the process once more.
	longest time.Duration
	// open is closed once Jobs may be handled.
	open     chan struct{}
	openOnce sync.Once

	// What only Start uses.
	lease   *coordinationv1.Lease
	written string
	// lost is true once another process has taken over.
	lost     bool
	failing  bool
	notUntil time.Time

	mu      sync.Mutex
	holder  string
	record  setaside.Record
	careful time.Time
	gate    gate
}

// Options of a Keeper.
type Options struct {
	// Namespace is where the Lease is.
	Namespace string
	// Holder names the process; no other has this name.
	Holder string
	// Longest is how long a Job that is set aside waits at most for its turn.
	Longest time.Duration
	Clock   clock.WithTickerAndDelayedExecution
}

// New returns a Keeper that reads and writes with c, which must not cache.
func New(c client.Client, options Options) *Keeper {
	return &Keeper{
		client: c, clock: options.Clock, holder: options.Holder, longest: options.Longest,
		key:  types.NamespacedName{Namespace: options.Namespace, Name: api.AtWorkLease},
		open: make(chan struct{}), gate: newGate(),
	}
}

// Start takes over from the process before, and notes what is handled until ctx
// ends. A Lease that cannot be written holds nothing up.
func (k *Keeper) Start(ctx context.Context) error {
	began := k.clock.Now()
	ticker := k.clock.NewTicker(interval)
	defer ticker.Stop()
	for {
		k.tick(ctx)
		if k.clock.Since(began) >= openAfter || k.lease != nil {
			k.letBegin()
		}
		select {
		case <-ctx.Done():
			k.finish(ctx)
			return nil
		case <-ticker.C():
		}
	}
}

func (k *Keeper) letBegin() { k.openOnce.Do(func() { close(k.open) }) }

// tick takes over if that is not done yet, writes what changed, and lets those
// Jobs begin that waited for it.
func (k *Keeper) tick(ctx context.Context) {
	now := k.clock.Now()
	k.mu.Lock()
	admitted := k.gate.admit(batch)
	k.mu.Unlock()
	defer func() {
		for _, w := range admitted {
			close(w.noted)
		}
	}()
	if k.lost || now.Before(k.notUntil) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	k.judge(ctx, k.note(ctx, now), now)
}

// note writes what is handled now, if that is not written yet.
func (k *Keeper) note(ctx context.Context, now time.Time) error {
	if k.lease == nil {
		return k.takeOver(ctx, now)
	}
	k.mu.Lock()
	k.record.AtWork = setaside.Noted(k.gate.atWork(), now, interval)
	text, err := k.record.Encode()
	k.mu.Unlock()
	if err != nil || text == k.written {
		return err
	}
	return k.write(ctx, k.holder, text)
}

// judge decides what an error means for the next tick. None holds up Jobs.
func (k *Keeper) judge(ctx context.Context, err error, now time.Time) {
	logger := ctrl.LoggerFrom(ctx).WithName("atwork")
	switch {
	case err == nil:
		k.failing = false
		return
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		// Somebody deleted or changed the Lease, or leads now.
		k.reread(ctx)
		return
	case apierrors.IsForbidden(err):
		k.notUntil = now.Add(refusedRetry)
		k.letBegin()
	}
	if !k.failing && ctx.Err() == nil {
		k.failing = true
		logger.Info("running Jobs cannot be noted on the Lease; they are handled anyway", "lease", k.key.String(), "cause", err.Error())
	}
}

// reread finds out why the Lease could not be written.
func (k *Keeper) reread(ctx context.Context) {
	if k.lease == nil {
		return
	}
	lease := &coordinationv1.Lease{}
	err := k.client.Get(ctx, k.key, lease)
	switch {
	case apierrors.IsNotFound(err):
		k.lease, k.written = nil, ""
	case err != nil:
	case holderOf(lease) == k.holder:
		k.lease = lease
	default:
		k.lost = true
	}
}

// takeOver reads what the process before left, counts its end if nobody asked for
// that, and puts this process in its place.
func (k *Keeper) takeOver(ctx context.Context, now time.Time) error {
	lease := &coordinationv1.Lease{}
	err := k.client.Get(ctx, k.key, lease)
	if apierrors.IsNotFound(err) {
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: k.key.Namespace, Name: k.key.Name}}
		err = nil
	}
	if err != nil {
		return fmt.Errorf("reading lease %s: %w", k.key, err)
	}
	before := setaside.Decode(lease.Annotations[api.AtWorkAnnotation])
	if before.Holder = holderOf(lease); before.Holder == k.holder {
		before.Holder = "" // written by this very process, whose answer was lost
	}
	next, unclean := before.Begin(k.holder, now)
	text, err := next.Encode()
	if err != nil {
		return err
	}
	k.lease = lease
	if err := k.write(ctx, k.holder, text); err != nil {
		k.lease = nil
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.record = next
	if unclean {
		k.careful = now.Add(carefulFor)
		ctrl.LoggerFrom(ctx).WithName("atwork").Info("the previous process ended unexpectedly",
			"process", before.Holder, "jobsAtWork", before.AtWork)
	}
	return nil
}

// write writes the Lease, whose state is that of k.lease.
func (k *Keeper) write(ctx context.Context, holder, text string) error {
	lease := k.lease.DeepCopy()
	metav1.SetMetaDataAnnotation(&lease.ObjectMeta, api.AtWorkAnnotation, text)
	now := metav1.NewMicroTime(k.clock.Now())
	if holder != holderOf(lease) {
		lease.Spec.AcquireTime = &now
	}
	lease.Spec.HolderIdentity, lease.Spec.RenewTime = &holder, &now
	var err error
	if lease.ResourceVersion == "" {
		err = k.client.Create(ctx, lease)
	} else {
		err = k.client.Update(ctx, lease)
	}
	if err != nil {
		return fmt.Errorf("writing lease %s: %w", k.key, err)
	}
	k.lease, k.written = lease, text
	return nil
}

// finish notes that the process ends in order, whatever it was handling. A process
// that lost its lease writes nothing over the note of the next one.
func (k *Keeper) finish(ctx context.Context) {
	if k.lease == nil || k.lost {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	k.mu.Lock()
	k.record.AtWork = nil
	text, err := k.record.Encode()
	k.mu.Unlock()
	if err == nil {
		err = k.write(ctx, "", text)
	}
	if apierrors.IsConflict(err) {
		// The answer to the last note was broken off, perhaps.
		if k.reread(ctx); k.lost || k.lease == nil {
			return
		}
		err = k.write(ctx, "", text)
	}
	if err != nil {
		ctrl.LoggerFrom(ctx).WithName("atwork").Info("the end of the process could not be noted on the Lease", "cause", err.Error())
	}
}

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}
