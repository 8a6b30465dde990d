package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
)

// tree is the Go sources and the module files of one state of the project, by
// path.
type tree map[string][]byte

// wanted reports whether a file counts: what tests read (testdata) does not.
func wanted(name string) bool {
	return path.Base(name) == "go.mod" || strings.HasSuffix(name, ".go") && !strings.Contains("/"+name, "/testdata/")
}

// worktree reads the files here that git knows, or would with `git add`.
func worktree(ctx context.Context) (tree, error) {
	listed, err := git(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	files := tree{}
	for name := range strings.SplitSeq(string(listed), "\x00") {
		if !wanted(name) {
			continue
		}
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // Deleted, and not yet in the index.
		}
		if err != nil {
			return nil, fmt.Errorf("reading a source: %w", err)
		}
		files[name] = content
	}
	return files, nil
}

// revision reads the files of a commit.
func revision(ctx context.Context, name string) (tree, error) {
	archive, err := git(ctx, "archive", "--format=tar", name)
	if err != nil {
		return nil, err
	}
	files := tree{}
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading revision %s: %w", name, err)
		}
		if header.Typeflag != tar.TypeReg || !wanted(header.Name) {
			continue
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			return nil, fmt.Errorf("reading revision %s: %w", name, err)
		}
	}
}

func git(ctx context.Context, args ...string) ([]byte, error) {
	output, err := exec.CommandContext(ctx, "git", args...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, failed.Stderr)
	}
	return output, err
}
