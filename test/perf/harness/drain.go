package harness

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/job-handler/job-handler/test/perf/report"
	"github.com/job-handler/job-handler/test/perf/stats"
)

const (
	// drainTimeout bounds a drain of any size.
	drainTimeout = 30 * time.Minute
	// profileSeconds is how long the CPU of a drain is looked at.
	profileSeconds = 5
)

// drain is finished Jobs that wait when the manager starts.
type drain struct {
	name, title string
	jobs        int
	logs        Logs
	// ceiling is the calibration that this is compared with.
	ceiling string
	// profiled keeps profiles, which costs a little.
	profiled bool
}

func (d drain) run(ctx context.Context, w *world, r *report.Report) error {
	s := &report.Scenario{Name: d.name, Title: d.title}
	namespace, err := w.namespace(ctx, true, d.logs)
	if err != nil {
		return err
	}
	if _, err := w.load(ctx, batch{namespace: namespace, jobs: d.jobs, optedIn: true, finished: true}); err != nil {
		return err
	}
	if err := d.measure(ctx, w, namespace, s); err != nil {
		return err
	}
	if ceiling, found := r.Find(d.ceiling + ".rate"); found {
		s.Set(report.Share, s.Values[report.Rate]/ceiling)
	}
	r.Scenarios = append(r.Scenarios, s)
	return w.clear(ctx, namespace)
}

// expected is how many Jobs can be handled: the logs of the others hang.
func (d drain) expected() int {
	if d.logs.HangEvery == 0 {
		return d.jobs
	}
	return d.jobs - (d.jobs+d.logs.HangEvery-1)/d.logs.HangEvery
}

func (d drain) measure(ctx context.Context, w *world, namespace string, s *report.Scenario) error {
	if err := w.resume(ctx); err != nil {
		return err
	}
	o, err := w.observe(ctx, namespace)
	if err != nil {
		return err
	}
	defer o.stop()
	before, err := w.use(ctx, nil)
	if err != nil {
		return err
	}
	return w.withManager(ctx, func(m *manager) error {
		if err := d.awaitDrained(ctx, w, m, o); err != nil {
			return err
		}
		d.reportRate(o, m.began, s)
		return d.reportUse(ctx, w, m, before, s)
	})
}

// awaitDrained waits until all are deleted, and keeps profiles meanwhile.
func (d drain) awaitDrained(ctx context.Context, w *world, m *manager, o *observer) error {
	profiling := make(chan error, 1)
	if d.profiled {
		go func() { profiling <- w.profile(ctx, m, d.name, "profile", profileSeconds) }()
	} else {
		profiling <- nil
	}
	if err := o.awaitDeleted(ctx, drainTimeout, d.expected()); err != nil {
		return err
	}
	if err := <-profiling; err != nil {
		return fmt.Errorf("keeping a profile of CPU: %w", err)
	}
	if d.profiled {
		if err := w.profile(ctx, m, d.name, "heap", 0); err != nil {
			return fmt.Errorf("keeping a profile of the heap: %w", err)
		}
	}
	return nil
}

func (d drain) reportUse(ctx context.Context, w *world, m *manager, before usage, s *report.Scenario) error {
	after, err := w.use(ctx, m)
	if err != nil {
		return err
	}
	addUsage(s, before, after, d.expected())
	held, err := m.memory(ctx)
	if err != nil {
		return err
	}
	s.Set(report.PeakRSS, held.peak)
	s.Set(report.Heap, held.heap)
	return nil
}

// reportRate takes the rate from the first Job stored to the last deleted, and
// tells apart how long the first one took from the start of the process.
func (d drain) reportRate(o *observer, began time.Time, s *report.Scenario) {
	stored, deleted := o.times()
	first, last := slices.MinFunc(stored, time.Time.Compare), slices.MaxFunc(deleted, time.Time.Compare)
	s.Set(report.Jobs, float64(d.jobs))
	s.Set(report.Started, first.Sub(began).Seconds())
	s.Set(report.Rate, float64(len(deleted))/last.Sub(first).Seconds())
	s.PerSecond = stats.PerSecond(first, deleted)
	s.Set(report.RateDeviation, stats.Of(s.PerSecond).Deviation)
}
