package localcluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/job-handler/job-handler/internal/localcluster/filelock"
)

// Build returns the programs of the sets for a cluster of a minor of Kubernetes,
// such as 1.30, "" being the newest, and first builds those that are not
// in the user's cache folder yet, from the modules that pin them. Building all
// of them takes some ten minutes on two cores; progress, which may be nil, gets
// a line for every program and every few seconds in between. Processes that
// build the same programs wait for each other. A build that was cut short
// leaves nothing that a later one could take for a program.
func Build(ctx context.Context, minor string, set Set, progress io.Writer) (Programs, error) {
	programs := Programs{paths: map[string]string{}}
	chosen, err := modulesOf(minor)
	if err != nil {
		return programs, err
	}
	for _, m := range chosen {
		wanted := m.wanted(set)
		if len(wanted) == 0 {
			continue
		}
		b, err := newModuleBuild(ctx, m, reporter{progress})
		if err != nil {
			return programs, fmt.Errorf("preparing to build the %s programs: %w", m.name, err)
		}
		if err := b.ensure(ctx, wanted); err != nil {
			return programs, fmt.Errorf("building the %s programs: %w", m.name, err)
		}
		for _, p := range wanted {
			programs.paths[p.name] = b.path(p)
		}
	}
	return programs, nil
}

// moduleBuild builds programs of one module into its folder of the cache.
type moduleBuild struct {
	module   module
	source   string
	target   string
	flags    []string
	progress reporter
}

func newModuleBuild(ctx context.Context, m module, progress reporter) (*moduleBuild, error) {
	root, err := repositoryRoot()
	if err != nil {
		return nil, err
	}
	b := &moduleBuild{
		module:   m,
		source:   nestedModule(root, m.name),
		progress: progress,
	}
	goMod, err := os.ReadFile(filepath.Join(b.source, "go.mod"))
	if err != nil {
		return nil, err
	}
	goSum, err := os.ReadFile(filepath.Join(b.source, "go.sum"))
	if err != nil {
		return nil, err
	}
	b.flags = []string{"-trimpath", "-ldflags=" + m.ldflags(string(goMod))}
	own, err := ownSource(b.source)
	if err != nil {
		return nil, err
	}
	toolchain, err := b.goTool(ctx, "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		return nil, fmt.Errorf("asking go for its version: %w", describe(err))
	}
	cache, err := CacheFolder("programs")
	if err != nil {
		return nil, err
	}
	inputs := append([][]byte{goMod, goSum, toolchain, []byte(strings.Join(b.flags, " "))}, own...)
	version := versionOf(inputs...)
	b.target = filepath.Join(cache, m.name+"-"+version)
	return b, os.MkdirAll(b.target, 0o755)
}

// ownSource returns the Go files of a module that has programs of its own
// besides those that it pins.
func ownSource(dir string) ([][]byte, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	files := make([][]byte, 0, len(paths))
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// versionOf identifies what the inputs would build.
func versionOf(inputs ...[]byte) string {
	hash := sha256.New()
	for _, input := range inputs {
		fmt.Fprintf(hash, "%d\n", len(input))
		hash.Write(input)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

func (b *moduleBuild) path(p program) string { return filepath.Join(b.target, p.name) }

func (b *moduleBuild) missing(wanted []program) []program {
	var missing []program
	for _, p := range wanted {
		if _, err := os.Stat(b.path(p)); err != nil {
			missing = append(missing, p)
		}
	}
	return missing
}

func (b *moduleBuild) ensure(ctx context.Context, wanted []program) error {
	if len(b.missing(wanted)) == 0 {
		return nil
	}
	lock, err := filelock.Wait(ctx, filepath.Join(b.target, ".lock"), func() {
		b.progress.line("waiting for another process that builds the %s programs", b.module.name)
	})
	if err != nil {
		return err
	}
	defer lock.Close()
	missing := b.missing(wanted)
	if len(missing) == 0 {
		return nil
	}
	return b.compile(ctx, missing)
}

// compile builds all programs at once: they share most of their packages, and
// one program is linked while others are compiled.
func (b *moduleBuild) compile(ctx context.Context, programs []program) error {
	const pattern = ".building-*"
	// The lock is ours, so these are of builds that were killed.
	abandoned, err := filepath.Glob(filepath.Join(b.target, pattern))
	if err != nil {
		return err
	}
	for _, path := range abandoned {
		_ = os.RemoveAll(path)
	}
	temporary, err := os.MkdirTemp(b.target, pattern)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	packages := make([]string, len(programs))
	for i, p := range programs {
		packages[i] = p.pkg
	}
	w := newBuildWatch(b.module.name, temporary, programs, b.progress)
	stop := w.watch()
	defer stop()
	if err := w.count(b.goTool(ctx, append([]string{"list", "-deps"}, packages...)...)); err != nil {
		return err
	}
	args := append([]string{"build", "-v", "-o", temporary + string(filepath.Separator)}, b.flags...)
	if err := w.run(b.goTool(ctx, append(args, packages...)...)); err != nil {
		return err
	}
	stop()
	for _, p := range programs {
		if err := os.Rename(filepath.Join(temporary, p.binary()), b.path(p)); err != nil {
			return err
		}
	}
	return nil
}

func (b *moduleBuild) goTool(ctx context.Context, args ...string) *exec.Cmd {
	return goTool(ctx, b.source, args...)
}

// goTool returns a go command that works in a module's folder, whatever
// workspace or module the caller is in.
func goTool(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	// Go ends its compilers when it is interrupted, but not when it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// CacheFolder makes and returns a folder of the user's cache folder.
func CacheFolder(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w", err)
	}
	path := filepath.Join(cache, "job-handler", name)
	return path, os.MkdirAll(path, 0o755)
}

// describe adds what a command wrote on its standard error.
func describe(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}
