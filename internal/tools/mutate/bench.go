package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/job-handler/job-handler/internal/tools/coverprofile"
)

// memory bounds the test program: a mutant may be a loop that allocates for ever.
const memory = 4 << 30

// bench runs the tests of a package with one mutant at a time.
type bench struct {
	target *target
	folder string
	args   []string
	known  *journal
	blocks []coverprofile.Block
	took   time.Duration
}

// newBench runs the tests without a mutant. They have to pass.
func newBench(ctx context.Context, t *target, r request) (*bench, error) {
	folder, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for test programs: %w", err)
	}
	b := &bench{target: t, folder: folder, args: r.args}
	digest, err := b.baseline(ctx)
	if err == nil {
		b.known, err = openJournal(filepath.Join(r.out, digest+".jsonl"))
	}
	if err != nil {
		os.RemoveAll(folder)
		return nil, err
	}
	return b, nil
}

func (b *bench) close() {
	b.known.close()
	os.RemoveAll(b.folder)
}

// baseline learns what tests execute, and returns a digest of the test program and
// its flags.
func (b *bench) baseline(ctx context.Context) (string, error) {
	var output strings.Builder
	program, profile := filepath.Join(b.folder, "baseline.test"), filepath.Join(b.folder, "profile")
	if err := b.build(ctx, program, "-cover", &output); err != nil {
		return "", fmt.Errorf("building the tests: %w\n%s", err, output.String())
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return "", fmt.Errorf("reading the test program: %w", err)
	}
	sum := sha256.Sum256(append(content, strings.Join(b.args, " ")...))
	began := time.Now()
	if err := b.execute(ctx, program, "-test.coverprofile="+profile, &output); err != nil {
		return "", fmt.Errorf("the tests fail without any mutant: %w\n%s", err, output.String())
	}
	b.took = time.Since(began)
	file, err := os.Open(profile)
	if err != nil {
		return "", fmt.Errorf("opening the coverage profile: %w", err)
	}
	defer file.Close()
	b.blocks, err = coverprofile.Read(file)
	return hex.EncodeToString(sum[:8]), err
}

// covered reports whether tests execute the place of a mutant. A place that the
// profile does not know counts as executed.
func (b *bench) covered(m *mutant) bool {
	name, known := b.target.ImportPath+"/"+filepath.Base(m.File), false
	for _, block := range b.blocks {
		if block.File != name || !block.Contains(m.anchor) {
			continue
		}
		if block.Count > 0 {
			return true
		}
		known = true
	}
	return !known
}

// settle gives a mutant its outcome: that of an earlier run or, until the deadline,
// that of the tests.
func (b *bench) settle(ctx context.Context, m *mutant, deadline time.Time) error {
	if b.known.recall(m) || !deadline.IsZero() && time.Now().After(deadline) {
		return nil
	}
	var err error
	if m.outcome, err = b.judge(ctx, m); err != nil || m.outcome == notTried {
		return err
	}
	return b.known.note(m)
}

// judge builds and runs the tests with a mutant.
func (b *bench) judge(ctx context.Context, m *mutant) (outcome, error) {
	program, source := filepath.Join(b.folder, "mutant.test"), filepath.Join(b.folder, "mutant.go")
	overlay := filepath.Join(b.folder, "overlay.json")
	original, err := filepath.Abs(m.File)
	if err != nil {
		return notTried, fmt.Errorf("finding the source: %w", err)
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: source}})
	if err != nil {
		return notTried, fmt.Errorf("encoding the overlay: %w", err)
	}
	if err := errors.Join(
		os.WriteFile(source, m.apply(b.target.sources[m.File]), 0o600),
		os.WriteFile(overlay, list, 0o600),
	); err != nil {
		return notTried, fmt.Errorf("writing a mutant: %w", err)
	}
	built := b.build(ctx, program, "-overlay="+overlay, io.Discard) == nil
	within, cancel := context.WithTimeout(ctx, 10*time.Second+3*b.took)
	defer cancel()
	passed := built && b.execute(within, program, "-test.failfast", io.Discard) == nil
	switch {
	case ctx.Err() != nil:
		return notTried, nil
	case !built:
		return invalid, nil
	case within.Err() != nil:
		return timedOut, nil
	case !passed:
		return killed, nil
	}
	return survived, nil
}

// build compiles the test program.
func (b *bench) build(ctx context.Context, program, flag string, output io.Writer) error {
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", flag, "-o", program, b.target.ImportPath)
	build.Stdout, build.Stderr = output, output
	return build.Run()
}

// execute runs the test program in the package's folder. All processes that it
// starts in its group end with it.
func (b *bench) execute(ctx context.Context, program, flag string, output io.Writer) error {
	test := exec.CommandContext(ctx, program, append([]string{flag}, b.args...)...)
	test.Dir = b.target.Dir
	// Of a failure rapid would write a file below testdata, and look for a smaller one.
	test.Env = append(os.Environ(), "TMPDIR="+b.folder, "RAPID_NOFAILFILE=true", "RAPID_SHRINKTIME=0s")
	test.Stdout, test.Stderr = output, output
	test.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	test.Cancel = func() error { return syscall.Kill(-test.Process.Pid, syscall.SIGKILL) }
	test.WaitDelay = 5 * time.Second
	if err := test.Start(); err != nil {
		return fmt.Errorf("starting the tests: %w", err)
	}
	limit := unix.Rlimit{Cur: memory, Max: memory}
	// A program that has ended already needs no bound.
	_ = unix.Prlimit(test.Process.Pid, unix.RLIMIT_DATA, &limit, nil)
	err := test.Wait()
	_ = syscall.Kill(-test.Process.Pid, syscall.SIGKILL)
	return err
}
