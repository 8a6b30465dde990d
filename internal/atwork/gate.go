package atwork

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/setaside"
)

const (
	// askAgain is when a Job that cannot have its turn yet asks again.
	askAgain = time.Second
	// aloneFor is how long others wait for a Job that is set aside, at most, and
	// endFor how long such a Job waits for those that have begun. Both are there for
	// Jobs whose logs come slowly. What ends a process does so within seconds as a
	// rule, and the Job is blamed alone even if others are handled beside it by then.
	aloneFor = 5 * time.Second
	endFor   = 2 * time.Second
	// pauseAlone is how long others have between two turns of such a Job.
	pauseAlone = 20 * time.Second
)

// Turn is what a Job that asks to be handled gets.
type Turn struct {
	// After is when to ask again; 0: it has its turn.
	After time.Duration
	// Ended is how often a process ended while it handled the Job.
	Ended int

	keeper *Keeper
	work   *work
}

// SetAside reports whether the Job is handled last and alone.
func (t *Turn) SetAside() bool { return t.Ended >= setaside.Ends }

// Again reports whether the Job ended a process once more after it was set aside.
func (t *Turn) Again() bool { return t.Ended > setaside.Ends }

// End notes that the Job is not handled any more.
func (t *Turn) End() {
	if t.work == nil {
		return
	}
	t.keeper.mu.Lock()
	defer t.keeper.mu.Unlock()
	t.keeper.gate.leave(t.work)
}

// work is a Job that is handled, or waits for being noted.
type work struct {
	setaside.Work

	// noted is closed once the Job is noted; nil: it need not be.
	noted chan struct{}
	alone bool
}

// gate knows which Jobs are handled.
type gate struct {
	handled map[types.UID]*work
	// waiting are those that are to be noted first.
	waiting []*work
	// asked is when a Job that is set aside first asked for its turn.
	asked map[types.UID]time.Time
	// had is when a Job that is set aside had its turn last.
	had map[types.UID]time.Time
	// alone is closed when the Job that has its turn alone has had it; nil: none has.
	alone chan struct{}
	// left has one element where a Job ended since somebody looked.
	left chan struct{}
}

func newGate() gate {
	return gate{handled: map[types.UID]*work{}, asked: map[types.UID]time.Time{}, had: map[types.UID]time.Time{}, left: make(chan struct{}, 1)}
}

// admit returns up to so many of those that wait, which are at work from now on.
func (g *gate) admit(most int) []*work {
	n := min(most, len(g.waiting))
	admitted := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	for _, w := range admitted {
		w.Announced = true
	}
	return admitted
}

// atWork returns what is handled, without those that wait.
func (g *gate) atWork() []setaside.Work {
	all := make([]setaside.Work, 0, len(g.handled))
	for _, w := range g.handled {
		if w.noted == nil || w.Announced {
			all = append(all, w.Work)
		}
	}
	return all
}

func (g *gate) enter(job types.UID, now time.Time, announce bool) *work {
	w := &work{Work: setaside.Work{Job: job, Since: now}}
	g.handled[job] = w
	if announce {
		w.noted = make(chan struct{})
		g.waiting = append(g.waiting, w)
	}
	return w
}

func (g *gate) leave(w *work) {
	delete(g.handled, w.Job)
	if w.alone {
		g.open(g.alone)
	}
	select {
	case g.left <- struct{}{}:
	default:
	}
}

// open lets the others go on, if they still wait for this one.
func (g *gate) open(alone chan struct{}) {
	if alone != nil && g.alone == alone {
		close(alone)
		g.alone = nil
	}
}

// Begin gives the Job its turn, once it is noted where that is needed. A Job that
// has to come later gets none; its worker is free for others.
func (k *Keeper) Begin(ctx context.Context, job types.UID) (*Turn, error) {
	if k == nil {
		return &Turn{}, nil
	}
	if err := await(ctx, k.open); err != nil {
		return nil, err
	}
	k.mu.Lock()
	turn := &Turn{Ended: k.record.Times(job), keeper: k}
	now := k.clock.Now()
	if turn.After = k.postponed(job, now); turn.After > 0 {
		k.mu.Unlock()
		return turn, nil
	}
	for !turn.SetAside() && k.gate.alone != nil {
		alone := k.gate.alone
		k.mu.Unlock()
		if err := await(ctx, alone); err != nil {
			return nil, err
		}
		k.mu.Lock()
	}
	turn.work = k.gate.enter(job, now, turn.Ended > 0 || now.Before(k.careful))
	if turn.SetAside() {
		k.closeGate(turn.work)
		k.gate.had[job] = now
	}
	k.mu.Unlock()
	if err := k.awaitTurn(ctx, turn); err != nil {
		turn.End()
		return nil, err
	}
	return turn, nil
}

// postponed returns when a Job under suspicion may ask again: one of them is
// handled at a time, and one that is set aside while no other Job is, or once it
// has waited for long.
func (k *Keeper) postponed(job types.UID, now time.Time) time.Duration {
	if !k.record.Suspect(job) {
		return 0
	}
	wait := k.record.Wait(job, now, k.longest)
	if last, had := k.gate.had[job]; had {
		wait = max(wait, last.Add(pauseAlone).Sub(now))
	}
	if wait > 0 {
		return wait
	}
	for other := range k.gate.handled {
		if k.record.Suspect(other) {
			return askAgain
		}
	}
	if !k.record.SetAside(job) || len(k.gate.handled) == 0 {
		delete(k.gate.asked, job)
		return 0
	}
	first, asked := k.gate.asked[job]
	if !asked {
		k.gate.asked[job] = now
		return askAgain
	}
	if now.Sub(first) < k.longest {
		return askAgain
	}
	delete(k.gate.asked, job)
	return 0
}

// closeGate has others wait while a Job is handled alone, though not for ever.
func (k *Keeper) closeGate(w *work) {
	alone := make(chan struct{})
	w.alone, k.gate.alone = true, alone
	k.clock.AfterFunc(aloneFor, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.gate.open(alone)
	})
}

// awaitTurn waits until a Job that is to be alone is, and until a Job that is to
// be noted is.
func (k *Keeper) awaitTurn(ctx context.Context, turn *Turn) error {
	if turn.SetAside() {
		if err := k.awaitOthers(ctx); err != nil {
			return err
		}
	}
	if turn.work.noted == nil {
		return nil
	}
	return await(ctx, turn.work.noted)
}

func (k *Keeper) awaitOthers(ctx context.Context) error {
	late := k.clock.After(endFor)
	for {
		k.mu.Lock()
		others := len(k.gate.handled) - 1
		k.mu.Unlock()
		if others == 0 {
			return nil
		}
		select {
		case <-k.gate.left:
		case <-late:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Forgive forgets the ends of processes that handled a Job whose results are stored.
func (k *Keeper) Forgive(job types.UID) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.record.Suspect(job) {
		return
	}
	k.record = k.record.Without(job)
	delete(k.gate.asked, job)
	delete(k.gate.had, job)
}

func await(ctx context.Context, given <-chan struct{}) error {
	select {
	case <-given:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
