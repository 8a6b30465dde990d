package harness

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/job-handler/job-handler/test/perf/report"
)

// large is Jobs with large logs that finish at the same time.
type large struct {
	jobs int
	logs Logs
}

func (l large) run(ctx context.Context, w *world, r *report.Report) error {
	s := &report.Scenario{Name: "large-logs", Title: "Jobs with 10 MiB logs finish at once"}
	return finishing{l.logs, l.jobs, l.measure}.run(ctx, w, r, s)
}

func (l large) measure(ctx context.Context, t trial, s *report.Scenario) error {
	w, m := t.world, t.manager
	before, err := m.memory(ctx)
	if err != nil {
		return err
	}
	if err := m.resetPeak(); err != nil {
		return err
	}
	used, err := w.use(ctx, m)
	if err != nil {
		return err
	}
	began, err := w.finishAll(ctx, t.made)
	if err != nil {
		return err
	}
	if err := t.observer.awaitDeleted(ctx, drainTimeout, l.jobs); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	after, err := w.use(ctx, m)
	if err != nil {
		return err
	}
	held, err := m.memory(ctx)
	if err != nil {
		return err
	}
	s.Set(report.Jobs, float64(l.jobs))
	addUsage(s, used, after, l.jobs)
	withoutFinishing(s)
	s.Set(report.PeakRSS, held.peak)
	s.Set(report.AddedRSS, held.peak-before.resident)
	s.Set(report.BytesRate, float64(l.jobs*l.logs.Bytes)/mib/took)
	return nil
}

// finishAll finishes Jobs as fast as it can, and returns when it began.
func (w *world) finishAll(ctx context.Context, made []work) (time.Time, error) {
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loaders)
	for _, each := range made {
		group.Go(func() error {
			_, err := w.finish(ctx, each)
			return err
		})
	}
	return began, group.Wait()
}

// fair is a Namespace in which Jobs with large logs finish at once, and another
// one in which Jobs finish meanwhile, one after the other.
type fair struct {
	noisy int
	logs  Logs
}

const (
	// quietRate is how many Jobs a second finish in the other Namespace, at most
	// quietJobs.
	quietRate = 5
	quietJobs = 100
)

func (f fair) run(ctx context.Context, w *world, r *report.Report) error {
	s := &report.Scenario{Name: "fair", Title: fmt.Sprintf("Jobs finish beside a namespace with %d of 10 MiB", f.noisy)}
	noisy, err := w.namespace(ctx, true, f.logs)
	if err != nil {
		return err
	}
	quiet, err := w.namespace(ctx, true, small)
	if err != nil {
		return err
	}
	loud, err := w.load(ctx, batch{namespace: noisy, jobs: f.noisy, optedIn: true})
	if err != nil {
		return err
	}
	others, err := w.load(ctx, batch{namespace: quiet, jobs: quietJobs, optedIn: true})
	if err != nil {
		return err
	}
	err = w.withIdleManager(ctx, func(*manager) error { return f.measure(ctx, w, loud, others, s) })
	if err != nil {
		return err
	}
	r.Scenarios = append(r.Scenarios, s)
	if err := w.clear(ctx, quiet); err != nil {
		return err
	}
	return w.clear(ctx, noisy)
}

// measure finishes others for as long as it takes until the loud ones are all
// deleted.
func (f fair) measure(ctx context.Context, w *world, loud, others []work, s *report.Scenario) error {
	ofLoud, err := w.observe(ctx, loud[0].job.Namespace)
	if err != nil {
		return err
	}
	defer ofLoud.stop()
	ofOthers, err := w.observe(ctx, others[0].job.Namespace)
	if err != nil {
		return err
	}
	defer ofOthers.stop()
	if _, err := w.finishAll(ctx, loud); err != nil {
		return err
	}
	busy, calm := context.WithCancel(ctx)
	defer calm()
	drained := make(chan error, 1)
	go func() {
		drained <- ofLoud.awaitDeleted(ctx, drainTimeout, len(loud))
		calm()
	}()
	finished, err := w.finishWhile(ctx, busy, others)
	if err != nil {
		return err
	}
	if err := <-drained; err != nil {
		return err
	}
	if err := ofOthers.awaitDeleted(ctx, settled, len(finished)); err != nil {
		return err
	}
	stored, deleted := ofOthers.since(finished)
	s.Set(report.Jobs, float64(len(finished)))
	s.SetLatency("stored", stored)
	s.SetLatency("deleted", deleted)
	return nil
}

// finishWhile finishes Jobs one after the other, quietRate a second, until busy
// ends, and returns when each was finished.
func (w *world) finishWhile(ctx, busy context.Context, made []work) (map[string]time.Time, error) {
	finished := map[string]time.Time{}
	began := time.Now()
	for i, each := range made {
		if !until(busy, began.Add(time.Duration(i)*time.Second/quietRate)) {
			break
		}
		if _, err := w.finish(ctx, each); err != nil {
			return nil, err
		}
		finished[each.job.Name] = time.Now()
	}
	return finished, nil
}
