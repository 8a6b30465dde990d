package harness

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/job-handler/job-handler/test/perf/report"
)

// openLoop is Jobs that finish so many a second, whatever becomes of those
// before.
type openLoop struct {
	name, title string
	rate        int
	seconds     int
	logs        Logs
}

// trial is a manager at work on Jobs that were made for it, as they are seen.
type trial struct {
	world    *world
	manager  *manager
	observer *observer
	made     []work
}

// settled is how long after the last one finished all must be deleted.
const settled = time.Minute

func (l openLoop) run(ctx context.Context, w *world, r *report.Report) error {
	s := &report.Scenario{Name: l.name, Title: l.title}
	return finishing{l.logs, l.rate * l.seconds, l.measure}.run(ctx, w, r, s)
}

// finishing is Jobs that run until measure lets them finish, beside a manager that
// had nothing to do.
type finishing struct {
	logs    Logs
	jobs    int
	measure func(context.Context, trial, *report.Scenario) error
}

// run adds the scenario to the report.
func (f finishing) run(ctx context.Context, w *world, r *report.Report, s *report.Scenario) error {
	namespace, err := w.namespace(ctx, true, f.logs)
	if err != nil {
		return err
	}
	made, err := w.load(ctx, batch{namespace: namespace, jobs: f.jobs, optedIn: true})
	if err != nil {
		return err
	}
	o, err := w.observe(ctx, namespace)
	if err != nil {
		return err
	}
	defer o.stop()
	err = w.withIdleManager(ctx, func(m *manager) error { return f.measure(ctx, trial{w, m, o, made}, s) })
	if err != nil {
		return err
	}
	r.Scenarios = append(r.Scenarios, s)
	return w.clear(ctx, namespace)
}

func (l openLoop) measure(ctx context.Context, t trial, s *report.Scenario) error {
	w, m := t.world, t.manager
	before, err := w.use(ctx, m)
	if err != nil {
		return err
	}
	finished, err := w.finishAtRate(ctx, t.made, l.rate)
	if err != nil {
		return err
	}
	if err := t.observer.awaitDeleted(ctx, settled, len(t.made)); err != nil {
		return err
	}
	after, err := w.use(ctx, m)
	if err != nil {
		return err
	}
	stored, deleted := t.observer.since(finished)
	s.Set(report.Jobs, float64(len(t.made)))
	addUsage(s, before, after, len(t.made))
	withoutFinishing(s)
	s.SetLatency("stored", stored)
	s.SetLatency("deleted", deleted)
	return nil
}

// withoutFinishing takes the requests off with which Jobs were finished.
func withoutFinishing(s *report.Scenario) {
	for _, request := range []string{"PUT pods/status", "PUT jobs/status"} {
		s.Set(report.Requests, s.Values[report.Requests]-s.Requests[request])
		delete(s.Requests, request)
	}
}

// finishAtRate finishes Jobs at even intervals, and returns when each was
// finished, by its name. One that is late is not waited for.
func (w *world) finishAtRate(ctx context.Context, made []work, rate int) (map[string]time.Time, error) {
	var mu sync.Mutex
	finished := map[string]time.Time{}
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for i := range made {
		if !until(ctx, began.Add(time.Duration(i)*time.Second/time.Duration(rate))) {
			break
		}
		group.Go(func() error {
			_, err := w.finish(ctx, made[i])
			mu.Lock()
			defer mu.Unlock()
			finished[made[i].job.Name] = time.Now()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("finishing Jobs: %w", err)
	}
	return finished, nil
}

// until waits for a time, and reports whether it came before ctx ended.
func until(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// awaitIdle waits until the manager has looked at all Jobs that it found.
func (m *manager) awaitIdle(ctx context.Context) error {
	idle := 0
	err := poll(ctx, drainTimeout, func(ctx context.Context) (bool, error) {
		families, err := m.metrics(ctx)
		if err != nil {
			return false, err
		}
		busy := gauge(families["workqueue_depth"]) + gauge(families["controller_runtime_active_workers"])
		if idle++; busy > 0 || gauge(families["controller_runtime_max_concurrent_reconciles"]) == 0 {
			idle = 0
		}
		return idle >= idleLooks, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the manager to have nothing to do: %w", err)
	}
	return nil
}

// idleLooks is how often in a row the manager has to have nothing to do.
const idleLooks = 5
