package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// target is a package and the mutants of its code.
type target struct {
	ImportPath string
	// Dir is relative to the folder in which the command runs.
	Dir     string
	GoFiles []string
	sources map[string][]byte
	mutants []*mutant
}

// find returns the packages that the patterns name.
func find(ctx context.Context, patterns []string) ([]target, error) {
	here, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("finding the current folder: %w", err)
	}
	output, err := output(ctx, "go", append([]string{"list", "-json=ImportPath,Dir,GoFiles", "--"}, patterns...)...)
	if err != nil {
		return nil, fmt.Errorf("listing packages: %w", err)
	}
	var targets []target
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var next target
		switch err := decoder.Decode(&next); {
		case errors.Is(err, io.EOF):
			return targets, nil
		case err != nil:
			return nil, fmt.Errorf("reading the list of packages: %w", err)
		}
		if next.Dir, err = filepath.Rel(here, next.Dir); err != nil {
			return nil, fmt.Errorf("finding the folder of %s: %w", next.ImportPath, err)
		}
		targets = append(targets, next)
	}
}

// output runs a program; the error has what it says.
func output(ctx context.Context, name string, args ...string) ([]byte, error) {
	output, err := exec.CommandContext(ctx, name, args...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("%s: %w: %s", name, err, failed.Stderr)
	}
	return output, err
}

// try lists the mutants of the package that the request asks for, and tries them
// until the deadline.
func (t *target) try(ctx context.Context, r request, out io.Writer) error {
	if err := t.list(ctx, r.since); err != nil || len(t.mutants) == 0 {
		return err
	}
	b, err := newBench(ctx, t, r)
	if err != nil {
		return err
	}
	defer b.close()
	chosen := t.choose(b.covered, r)
	fmt.Fprintf(out, "%s: %d mutants, %d to try; its tests take %s\n",
		t.Dir, len(t.mutants), len(chosen), b.took.Round(100*time.Millisecond))
	for i, m := range chosen {
		if err := b.settle(ctx, m, r.deadline); err != nil {
			return err
		}
		if m.outcome == survived {
			fmt.Fprintf(out, "survived: %s\n%s", m.headline(), m.diff(t.sources[m.File]))
		}
		if m.outcome != notTried && ((i+1)%25 == 0 || i+1 == len(chosen)) {
			fmt.Fprintf(out, "%s: %d of %d\n", t.Dir, i+1, len(chosen))
		}
	}
	return nil
}

// list finds the mutants of the package; only those in lines that changed since a
// revision if one is given.
func (t *target) list(ctx context.Context, since string) error {
	if since != "" {
		if _, err := output(ctx, "git", "rev-parse", "--quiet", "--verify", since+"^{commit}"); err != nil {
			return fmt.Errorf("finding revision %s: %w", since, err)
		}
	}
	t.sources = map[string][]byte{}
	for _, name := range t.GoFiles {
		path := filepath.Join(t.Dir, name)
		src, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading a source: %w", err)
		}
		t.sources[path] = src
		mutants, err := mutantsOf(path, src)
		if err != nil {
			return err
		}
		if since == "" {
			t.mutants = append(t.mutants, mutants...)
			continue
		}
		// Git blames no file that it does not know: all its lines are new.
		blame, _ := output(ctx, "git", "blame", "-s", "^"+since, "--", path)
		t.mutants = append(t.mutants, changed(mutants, strings.Split(string(blame), "\n"))...)
	}
	return nil
}

// changed returns the mutants in lines that are new. Blame marks older ones by ^.
func changed(mutants []*mutant, blame []string) []*mutant {
	return slices.DeleteFunc(mutants, func(m *mutant) bool {
		return m.Line <= len(blame) && strings.HasPrefix(blame[m.Line-1], "^")
	})
}

// choose marks the mutants that tests do not execute, and returns those to try.
func (t *target) choose(covered func(*mutant) bool, r request) []*mutant {
	var chosen []*mutant
	for _, m := range t.mutants {
		if m.outcome = notCovered; covered(m) {
			m.outcome = notTried
			chosen = append(chosen, m)
		}
	}
	if r.sample == 0 && r.deadline.IsZero() {
		return chosen
	}
	// With a deadline too, so that those tried in time are a fair sample.
	order := rand.New(rand.NewPCG(r.seed, 0)) //nolint:gosec // The same seed draws the same sample.
	order.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	if r.sample > 0 {
		chosen = chosen[:min(r.sample, len(chosen))]
	}
	return chosen
}
