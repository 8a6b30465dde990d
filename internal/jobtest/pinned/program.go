// Package pinned gives tests the programs that a module below internal/tools pins,
// as `make` builds them.
package pinned

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

// Tool is a program of a module.
type Tool struct {
	// Name is what the program is called.
	Name string
	// Folder is that of the pinning module, below internal/tools.
	Folder string
	// Module has the version, Package is built.
	Module, Package string
	// Flags are more flags for go build.
	Flags []string
}

// Helm tests, lints and packages the chart.
func Helm() Tool {
	return Tool{Name: "helm", Folder: "helm", Module: "helm.sh/helm/v4", Package: "helm.sh/helm/v4/cmd/helm"}
}

// JobSet makes Jobs that belong together, and starts them again as one.
func JobSet() Tool {
	return Tool{Name: "jobset", Folder: "jobset", Module: "sigs.k8s.io/jobset", Package: "sigs.k8s.io/jobset"}
}

// Kueue starts Jobs when there is room for them, and suspends them for others.
func Kueue() Tool {
	return Tool{Name: "kueue", Folder: "kueue", Module: "sigs.k8s.io/kueue", Package: "sigs.k8s.io/kueue/cmd/kueue"}
}

// Promtool checks and tests alert rules.
func Promtool() Tool { return prometheus("promtool") }

// Prometheus scrapes, evaluates rules and answers queries.
func Prometheus() Tool { return prometheus("prometheus") }

func prometheus(name string) Tool {
	const module = "github.com/prometheus/prometheus"
	// Its service discoveries want more than a hundred modules.
	return Tool{Name: name, Folder: "prometheus", Module: module, Package: module + "/cmd/" + name, Flags: []string{"-tags=remove_all_sd"}}
}

// Program returns the path of a tool, and builds it before, which takes minutes,
// if that was not done yet. It is where `make` keeps it. Root is the project's
// folder.
func Program(ctx context.Context, root string, tool Tool) (string, error) {
	version, err := tool.list(ctx, root, "{{.Version}}")
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
	program := filepath.Join(cache, "job-handler", "tools", tool.Name+"-"+version+"-"+toolchain, tool.Name)
	if _, err := os.Stat(program); !errors.Is(err, fs.ErrNotExist) {
		return program, err
	}
	args := append([]string{tool.Folder, tool.Package, program}, tool.Flags...)
	_, err = output(ctx, root, filepath.Join("internal", "tools", "build"), args...)
	return program, err
}

// Source returns the folder with the source of a tool's module, which it fetches if
// need be.
func Source(ctx context.Context, root string, tool Tool) (string, error) {
	if _, err := output(ctx, filepath.Join(root, "internal", "tools", tool.Folder), "go", "mod", "download", tool.Module); err != nil {
		return "", err
	}
	return tool.list(ctx, root, "{{.Dir}}")
}

// list returns what `go list` prints about the tool's module in a format.
func (t Tool) list(ctx context.Context, root, format string) (string, error) {
	return output(ctx, filepath.Join(root, "internal", "tools", t.Folder), "go", "list", "-m", "-f", format, t.Module)
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
