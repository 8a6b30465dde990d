package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	programName = "job-handler"
	// The user is given by number, so that runAsNonRoot can be checked without
	// reading /etc/passwd. It is the one of the Dockerfile's base.
	user = "65532:65532"
	// Where Go and others look first.
	bundlePath = "etc/ssl/certs/ca-certificates.crt"

	users  = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
	groups = "root:x:0:\nnonroot:x:65532:\n"
)

// about is what the image says of itself.
type about struct {
	version, revision, source string
	// seconds since 1970 are the time of the image and of all files in it.
	seconds int64
}

func (a about) time() time.Time { return time.Unix(a.seconds, 0).UTC() }

// labels have the keys of the OCI image specification.
func (a about) labels() map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":       "Job Handler",
		"org.opencontainers.image.description": "Keeps the results of Kubernetes Jobs",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.source":      a.source,
		"org.opencontainers.image.version":     a.version,
		"org.opencontainers.image.created":     a.time().Format(time.RFC3339),
	}
	if a.revision != "" {
		labels["org.opencontainers.image.revision"] = a.revision
	}
	return labels
}

// newImage returns the image of the program for one platform. What seldom
// changes, users and certificates, is a layer of its own. certificates may be
// nil: the manager needs none to reach its API server, whose CA every pod is
// given; they serve those who put a proxy or another server in between.
func newImage(platform v1.Platform, program, certificates []byte, a about) (v1.Image, error) {
	system := []file{{"etc/passwd", []byte(users), 0o644}, {"etc/group", []byte(groups), 0o644}}
	if certificates != nil {
		system = append(system, file{bundlePath, certificates, 0o644})
	}
	created := v1.Time{Time: a.time()}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, content := range []struct {
		files []file
		what  string
	}{{system, "users, CA certificates"}, {[]file{{programName, program, 0o755}}, "go build ./cmd/manager"}} {
		layer, err := layerOf(a.time(), content.files)
		if err != nil {
			return nil, err
		}
		history := v1.History{Created: created, CreatedBy: content.what}
		if image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: history}); err != nil {
			return nil, fmt.Errorf("adding a layer: %w", err)
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = platform.OS, platform.Architecture, created
	config.Config = v1.Config{
		User: user, Entrypoint: []string{"/" + programName}, WorkingDir: "/", Labels: a.labels(),
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, fmt.Errorf("setting the configuration: %w", err)
	}
	return image, nil
}

// file is a file of a layer; it belongs to root. The folders above it are made
// by whoever unpacks the layer.
type file struct {
	path string
	data []byte
	mode int64
}

func layerOf(modified time.Time, files []file) (v1.Layer, error) {
	var content bytes.Buffer
	archive := tar.NewWriter(&content)
	for _, f := range files {
		if err := addFile(archive, f, modified); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("ending a layer: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("making a layer: %w", err)
	}
	return layer, nil
}

// addFile writes nothing of this machine: no owner, no access times.
func addFile(archive *tar.Writer, f file, modified time.Time) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: f.path, Mode: f.mode, Size: int64(len(f.data)), ModTime: modified, Format: tar.FormatUSTAR,
	}
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("adding %s: %w", f.path, err)
	}
	if _, err := archive.Write(f.data); err != nil {
		return fmt.Errorf("adding %s: %w", f.path, err)
	}
	return nil
}
