package node

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// entry is one of an image's files.
type entry struct {
	header tar.Header
	data   []byte
}

func file(path string, data []byte, mode int64) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: mode, Size: int64(len(data))}, data}
}

func folderEntry(path string, mode int64) entry {
	return entry{header: tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: mode}}
}

func link(path, target string) entry {
	return entry{header: tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: target, Mode: 0o777}}
}

// imageOf returns an image for this machine with the entries as its one layer.
func imageOf(config v1.Config, entries ...entry) (v1.Image, error) {
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	for _, e := range entries {
		if err := archive.WriteHeader(&e.header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	content := layer.Bytes()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	return configure(image, config)
}

func configure(image v1.Image, config v1.Config) (v1.Image, error) {
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(image, file)
}

// ProgramImage returns an image for this machine that holds one program, which
// needs no libraries, and runs it.
func ProgramImage(path string) (v1.Image, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the program of an image: %w", err)
	}
	name := filepath.Base(path)
	return imageOf(v1.Config{Entrypoint: []string{"/" + name}}, file(name, data, 0o755))
}
