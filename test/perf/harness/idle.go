package harness

import (
	"context"
	"fmt"
	"time"

	"github.com/job-handler/job-handler/test/perf/report"
)

// idle is Jobs that run, and nothing changes: what they take in memory, and what
// is written about them.
type idle struct {
	jobs    int
	recheck time.Duration
}

func (i idle) run(ctx context.Context, w *world, r *report.Report) error {
	s := &report.Scenario{Name: "idle", Title: "opted-in Jobs with pods run"}
	empty, err := w.emptyManager(ctx)
	if err != nil {
		return err
	}
	namespace, err := w.namespace(ctx, true, small)
	if err != nil {
		return err
	}
	if _, err := w.load(ctx, batch{namespace: namespace, jobs: i.jobs, optedIn: true}); err != nil {
		return err
	}
	err = w.withIdleManager(ctx, func(m *manager) error { return i.measure(ctx, w, m, empty, s) },
		"--recheck-interval", i.recheck.String())
	if err != nil {
		return err
	}
	r.Scenarios = append(r.Scenarios, s)
	return w.clear(ctx, namespace)
}

func (i idle) measure(ctx context.Context, w *world, m *manager, empty memory, s *report.Scenario) error {
	held, err := m.memory(ctx)
	if err != nil {
		return err
	}
	s.Set(report.Jobs, float64(i.jobs))
	s.Set(report.RSS, held.resident)
	s.Set(report.PeakRSS, held.peak)
	s.Set(report.Heap, held.heap)
	s.Set(report.HeapPerJob, (held.heap-empty.heap)/float64(i.jobs))
	return i.countWrites(ctx, w, m, s)
}

// emptyManager returns what a manager holds that has nothing to do.
func (w *world) emptyManager(ctx context.Context) (held memory, err error) {
	err = w.withIdleManager(ctx, func(m *manager) (err error) {
		held, err = m.memory(ctx)
		return err
	})
	return held, err
}

// countWrites looks what is written while every Job is looked at twice more.
func (i idle) countWrites(ctx context.Context, w *world, m *manager, s *report.Scenario) error {
	before, err := w.use(ctx, m)
	if err != nil {
		return err
	}
	looks, err := m.looks(ctx)
	if err != nil {
		return err
	}
	err = poll(ctx, drainTimeout, func(ctx context.Context) (bool, error) {
		now, err := m.looks(ctx)
		return now >= looks+2*float64(i.jobs), err
	})
	if err != nil {
		return fmt.Errorf("waiting for all Jobs to be looked at again: %w", err)
	}
	after, err := w.use(ctx, m)
	if err != nil {
		return err
	}
	s.Set(report.Writes, after.counted.writes()-before.counted.writes())
	// For each time that a Job is looked at.
	s.Set(report.CPU, 1000*(after.cpu[managerProcess]-before.cpu[managerProcess])/float64(2*i.jobs))
	return nil
}

// looks returns how many Jobs were looked at so far.
func (m *manager) looks(ctx context.Context) (float64, error) {
	families, err := m.metrics(ctx)
	if err != nil {
		return 0, err
	}
	return gauge(families["controller_runtime_reconcile_total"]), nil
}

// notOptedIn is Jobs that are none of our business: they cost nothing.
type notOptedIn struct{ jobs int }

func (n notOptedIn) run(ctx context.Context, w *world, r *report.Report) error {
	s := &report.Scenario{Name: "not-opted-in", Title: "Jobs with pods that are not opted in"}
	err := w.withIdleManager(ctx, func(m *manager) error { return n.measure(ctx, w, m, s) })
	if err != nil {
		return err
	}
	r.Scenarios = append(r.Scenarios, s)
	return nil
}

func (n notOptedIn) measure(ctx context.Context, w *world, m *manager, s *report.Scenario) error {
	before, err := m.memory(ctx)
	if err != nil {
		return err
	}
	began, err := cpuOf(m.PID())
	if err != nil {
		return err
	}
	if err := n.load(ctx, w); err != nil {
		return err
	}
	ended, err := cpuOf(m.PID())
	if err != nil {
		return err
	}
	after, err := m.memory(ctx)
	if err != nil {
		return err
	}
	s.Set(report.Jobs, float64(n.jobs))
	s.Set(report.AddedRSS, after.resident-before.resident)
	s.Set(report.AddedHeap, after.heap-before.heap)
	s.Set(report.AddedCPU, 1000*(ended-began)/float64(n.jobs))
	return nil
}

// load makes the Jobs in one Namespace, and clears it.
func (n notOptedIn) load(ctx context.Context, w *world) error {
	namespace, err := w.namespace(ctx, false, small)
	if err != nil {
		return err
	}
	if _, err := w.load(ctx, batch{namespace: namespace, jobs: n.jobs}); err != nil {
		return err
	}
	return w.clear(ctx, namespace)
}
