package main

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// indexOf returns the images as one, of which every node takes its own.
func indexOf(images []v1.Image) (v1.ImageIndex, error) {
	index := v1.ImageIndex(empty.Index)
	for _, image := range images {
		platform, err := platformOf(image)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	return index, nil
}

func platformOf(image v1.Image) (v1.Platform, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return v1.Platform{}, fmt.Errorf("reading the configuration: %w", err)
	}
	return v1.Platform{OS: config.OS, Architecture: config.Architecture}, nil
}

// writeArchive writes an OCI archive, whole or not at all. An archive of one
// platform holds the image itself, which every program can read.
func writeArchive(path string, tag name.Tag, images []v1.Image) error {
	folder, err := os.MkdirTemp("", "job-handler-layout-")
	if err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	defer os.RemoveAll(folder)
	if err := writeLayout(folder, tag, images); err != nil {
		return fmt.Errorf("writing the layout: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	unfinished := path + ".new"
	defer os.Remove(unfinished)
	if err := archiveFolder(unfinished, folder); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

func writeLayout(folder string, tag name.Tag, images []v1.Image) error {
	target, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	names := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          tag.Name(),
		"org.opencontainers.image.ref.name": tag.TagStr(),
	})
	if len(images) == 1 {
		platform, err := platformOf(images[0])
		if err != nil {
			return err
		}
		return target.AppendImage(images[0], names, layout.WithPlatform(platform))
	}
	index, err := indexOf(images)
	if err != nil {
		return err
	}
	return target.AppendIndex(index, names)
}

// archiveFolder writes the files below a folder in the order of their names,
// with nothing in it that another run would write otherwise.
func archiveFolder(path, folder string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	archive := tar.NewWriter(out)
	root := os.DirFS(folder)
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return addFile(archive, file{name, data, 0o644}, time.Unix(0, 0))
	})
	if err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	return out.Close()
}
