package localcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const modulePath = "github.com/job-handler/job-handler"

// repositoryRoot finds the folder of this module's source, in which the
// modules of the programs are: go:embed cannot reach into nested modules. It
// is the working directory or a folder above: programs built with -trimpath do
// not know where they were compiled.
func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for !isRepository(dir) {
		if dir == filepath.Dir(dir) {
			return "", errors.New("finding the source of " + modulePath + ": run this inside its folder")
		}
		dir = filepath.Dir(dir)
	}
	return dir, nil
}

func isRepository(dir string) bool {
	file, err := os.Open(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "module "+modulePath {
			return true
		}
	}
	return false
}

// Source is a command of this project.
type Source struct {
	// Module is the folder of its module; empty: the root's.
	Module string
	// Package is its path there, such as ./cmd/manager.
	Package string
}

// Compile builds a command; go's own cache makes that quick.
func Compile(ctx context.Context, command Source, output string) error {
	root, err := repositoryRoot()
	if err != nil {
		return err
	}
	absolute, err := filepath.Abs(output)
	if err != nil {
		return err
	}
	build := goTool(ctx, filepath.Join(root, command.Module), "build", "-trimpath", "-ldflags=-s -w", "-o", absolute, command.Package)
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", command.Package, err, text)
	}
	return nil
}

// ModuleFolder returns the folder with the source of a Go module that one of
// the nested modules needs.
func ModuleFolder(ctx context.Context, nested, path string) (string, error) {
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	cmd := goTool(ctx, nestedModule(root, nested), "list", "-m", "-f", "{{.Dir}}", path)
	dir, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding module %s: %w", path, describe(err))
	}
	return strings.TrimSpace(string(dir)), nil
}

// nestedModule returns the folder of a module that pins programs.
func nestedModule(root, name string) string {
	return filepath.Join(root, "internal", "localcluster", "programs", name)
}
