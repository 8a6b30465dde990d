package harness

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/job-handler/job-handler/test/perf/report"
)

// Settings are what is run, and where.
type Settings struct {
	// Manager and Plain are the programs of the manager and of the plain
	// controller; Output is the folder for logs and profiles.
	Manager, Plain, Output string
	Sizes                  Sizes
	// Only names the scenarios to run beside those that they are compared with;
	// empty: those of Sizes.
	Only []string
	// Progress gets lines about what happens.
	Progress io.Writer
}

// scenario is one part of a run. What it finds it adds to the report.
type scenario interface {
	run(ctx context.Context, w *world, r *report.Report) error
}

// entry is a scenario by its name, and the control plane that it wants.
type entry struct {
	name  string
	kind  controllers
	needs string
	scenario
}

// Run runs scenarios and adds what they find to the report, so that it has what
// was found before an error too.
func Run(ctx context.Context, settings *Settings, r *report.Report) error {
	entries, err := settings.chosen()
	if err != nil {
		return err
	}
	for _, kind := range []controllers{noControllers, raisedLimits, defaultLimits} {
		of := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.kind != kind })
		if len(of) == 0 {
			continue
		}
		if err := runOn(ctx, settings, kind, of, r); err != nil {
			return err
		}
	}
	return nil
}

func runOn(ctx context.Context, settings *Settings, kind controllers, entries []entry, r *report.Report) (err error) {
	w, err := newWorld(ctx, settings, kind)
	if err != nil {
		return err
	}
	defer func() {
		if ending := w.close(ctx); err == nil {
			err = ending
		}
	}()
	for _, each := range entries {
		began := time.Now()
		fmt.Fprintf(settings.Progress, "%s: begins\n", each.name)
		if err := each.run(ctx, w, r); err != nil {
			return fmt.Errorf("%s: %w", each.name, err)
		}
		fmt.Fprintf(settings.Progress, "%s: done in %s\n", each.name, time.Since(began).Round(100*time.Millisecond))
	}
	return nil
}

// chosen returns the scenarios to run, with those that they need.
func (s *Settings) chosen() ([]entry, error) {
	all, only := s.Sizes.entries(), s.Only
	if len(only) == 0 {
		only = s.Sizes.Scenarios
	}
	if len(only) == 0 {
		return all, nil
	}
	wanted := map[string]bool{}
	for _, name := range only {
		i := slices.IndexFunc(all, func(e entry) bool { return e.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown scenario %q: the scenarios are %s", name, strings.Join(Names(), ", "))
		}
		wanted[name], wanted[all[i].needs] = true, true
	}
	return slices.DeleteFunc(all, func(e entry) bool { return !wanted[e.name] }), nil
}

// Names returns the names of all scenarios, in the order in which they run.
func Names() []string {
	var names []string
	for _, each := range Small.entries() {
		names = append(names, each.name)
	}
	return names
}
