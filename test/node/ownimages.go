package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/localcluster/filelock"
)

// ownImages makes the archives of the pause and the shell image, or finds them
// in the cache folder, and returns their paths.
func ownImages(ctx context.Context, report reporter) ([]string, error) {
	cache, err := localcluster.CacheFolder("images")
	if err != nil {
		return nil, err
	}
	lock, err := filelock.Wait(ctx, filepath.Join(cache, ".lock"), func() {
		report("waiting for another process that makes images")
	})
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	images := []struct {
		create imageMaker
		refs   []string
	}{{makePause, []string{pauseImage}}, {makeShell, []string{ShellImage, shellAlias}}}
	paths := make([]string, len(images))
	var group errgroup.Group
	for i, image := range images {
		group.Go(func() (err error) {
			paths[i], err = ownImage(ctx, cache, image.create, image.refs...)
			return err
		})
	}
	return paths, group.Wait()
}

// imageMaker makes an image with a folder for temporary files.
type imageMaker func(ctx context.Context, work string) (v1.Image, error)

// imageLayout is part of the archives' names; it changes with what is
// put into the images, and with their references.
const imageLayout = "2"

func ownImage(ctx context.Context, cache string, create imageMaker, refs ...string) (string, error) {
	base := strings.NewReplacer("/", "-", ":", "-").Replace(refs[0])
	path := filepath.Join(cache, base+"-"+imageLayout+"-"+runtime.GOARCH+".tar")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	work, err := os.MkdirTemp(cache, ".making-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	image, err := create(ctx, work)
	if err != nil {
		return "", fmt.Errorf("making image %s: %w", refs[0], err)
	}
	temporary := filepath.Join(work, "image.tar")
	if err := writeArchive(temporary, image, refs...); err != nil {
		return "", err
	}
	return path, os.Rename(temporary, path)
}

// pause is the program of the pause image.
var pause = localcluster.Source{Module: "test", Package: "./node/cmd/pause"}

func makePause(ctx context.Context, work string) (v1.Image, error) {
	program := filepath.Join(work, "pause")
	if err := localcluster.Compile(ctx, pause, program); err != nil {
		return nil, err
	}
	return ProgramImage(program)
}
