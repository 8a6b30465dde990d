// Package helm gives tests the pinned helm. It knows nothing of charts.
package helm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	module  = "helm.sh/helm/v4"
	command = module + "/cmd/helm"
)

// Program returns the path of helm, and builds it before, which takes minutes,
// if that was not done yet. It is where `make` keeps it. Root is the project's
// folder.
func Program(ctx context.Context, root string) (string, error) {
	version, err := output(ctx, filepath.Join(root, "internal", "tools", "helm"), "go", "list", "-m", "-f", "{{.Version}}", module)
	if err != nil {
		return "", err
	}
	toolchain, err := output(ctx, root, "go", "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("looking for the cache folder: %w", err)
	}
	program := filepath.Join(cache, "job-handler", "tools", "helm-"+version+"-"+toolchain, "helm")
	if _, err := os.Stat(program); !errors.Is(err, fs.ErrNotExist) {
		return program, err
	}
	_, err = output(ctx, root, filepath.Join("internal", "tools", "build"), "helm", command, program)
	return program, err
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	run := exec.CommandContext(ctx, name, args...)
	run.Dir = dir
	run.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	text, err := run.Output()
	if err != nil {
		problem := &exec.ExitError{}
		errors.As(err, &problem)
		return "", fmt.Errorf("running %s: %w\n%s", run, err, problem.Stderr)
	}
	return strings.TrimSpace(string(text)), nil
}
