package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	kubernetes = "k8s.io/kubernetes"
	// staging is where Kubernetes' own repository has the modules that it
	// publishes under their own names.
	staging = "./staging/"
	parent  = "github.com/job-handler/job-handler/internal/localcluster/programs/"
)

// upstream is what is needed of the go.mod of a release.
type upstream struct {
	Go      string
	Replace []struct {
		Old struct{ Path string }
		New struct{ Path string }
	}
}

// write makes the module of a release anew. Versions of modules that Kubernetes
// requires come from its own go.mod.
func write(ctx context.Context, release localcluster.Release) error {
	folder, err := release.ModuleFolder()
	if err != nil {
		return err
	}
	theirs, err := read(ctx, release)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	goMod := []byte(goMod(release, filepath.Base(folder), theirs))
	if err := os.WriteFile(filepath.Join(folder, "go.mod"), goMod, 0o600); err != nil {
		return err
	}
	fmt.Printf("%s: go mod tidy\n", folder)
	_, err = goTool(ctx, folder, "mod", "tidy")
	return err
}

// read returns the go.mod of a release.
func read(ctx context.Context, release localcluster.Release) (upstream, error) {
	var module struct{ GoMod string }
	var theirs upstream
	// Outside every module, so that no other module's requirements count.
	answer, err := goTool(ctx, os.TempDir(), "mod", "download", "-json", kubernetes+"@"+release.Version)
	if err != nil {
		return theirs, err
	}
	if err := json.Unmarshal(answer, &module); err != nil {
		return theirs, fmt.Errorf("reading what go mod download says: %w", err)
	}
	if answer, err = goTool(ctx, os.TempDir(), "mod", "edit", "-json", module.GoMod); err != nil {
		return theirs, err
	}
	err = json.Unmarshal(answer, &theirs)
	return theirs, err
}

// goMod returns the requirements that the rest follows from. The settings of
// GODEBUG are those that the release was made for, whatever Go builds it.
func goMod(release localcluster.Release, name string, theirs upstream) string {
	var text strings.Builder
	fmt.Fprintf(&text, "module %s%s\n\ngo 1.26.0\n\n", parent, name)
	major, minor, _ := strings.Cut(theirs.Go, ".")
	minor, _, _ = strings.Cut(minor, ".")
	fmt.Fprintf(&text, "godebug default=go%s.%s\n\ntool (\n", major, minor)
	for _, pkg := range localcluster.ReleasePackages() {
		fmt.Fprintf(&text, "\t%s\n", pkg)
	}
	fmt.Fprintf(&text, ")\n\nrequire %s %s\n\nreplace (\n", kubernetes, release.Version)
	for _, replaced := range theirs.Replace {
		path := replaced.Old.Path
		if !strings.HasPrefix(replaced.New.Path, staging) {
			continue
		}
		version := cmp.Or(release.Lagging[path], "v0."+strings.TrimPrefix(release.Version, "v1."))
		fmt.Fprintf(&text, "\t%s => %s %s\n", path, path, version)
	}
	text.WriteString(")\n")
	return text.String()
}

// goTool runs go in a folder and returns what it prints.
func goTool(ctx context.Context, dir string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var problem bytes.Buffer
	command.Stderr = &problem
	answer, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("running go %s: %w\n%s", strings.Join(args, " "), err, problem.Bytes())
	}
	return answer, nil
}
