package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var (
	amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64 = v1.Platform{OS: "linux", Architecture: "arm64"}
	made  = about{version: "v1.2.3", revision: "abc", source: "https://example.com/src", seconds: 1_700_000_000}
)

func image(t *testing.T, platform v1.Platform, certificates []byte) v1.Image {
	t.Helper()
	made, err := newImage(platform, []byte("program of "+platform.Architecture), certificates, made)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func archive(t *testing.T, images ...v1.Image) string {
	t.Helper()
	tag, err := name.NewTag("ghcr.io/job-handler/job-handler:v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "new", "image.tar")
	if err := writeArchive(path, tag, images); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfiguration(t *testing.T) {
	config, err := image(t, arm64, nil).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		User: "65532:65532", Entrypoint: []string{"/job-handler"}, WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":       "Job Handler",
			"org.opencontainers.image.description": "Keeps the results of Kubernetes Jobs",
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.source":      "https://example.com/src",
			"org.opencontainers.image.version":     "v1.2.3",
			"org.opencontainers.image.revision":    "abc",
			"org.opencontainers.image.created":     "2023-11-14T22:13:20Z",
		},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if config.OS != "linux" || config.Architecture != "arm64" || !config.Created.Equal(made.time()) || len(config.History) != 2 {
		t.Errorf("got %s/%s, created %s, history %v", config.OS, config.Architecture, config.Created, config.History)
	}
}

func TestFiles(t *testing.T) {
	type entry struct {
		Mode int64
		Data string
	}
	for what, test := range map[string]struct {
		certificates []byte
		want         map[string]entry
	}{
		"with certificates": {[]byte("roots"), map[string]entry{
			"job-handler": {0o755, "program of amd64"}, "etc/passwd": {0o644, users}, "etc/group": {0o644, groups},
			"etc/ssl/certs/ca-certificates.crt": {0o644, "roots"},
		}},
		"without": {nil, map[string]entry{
			"job-handler": {0o755, "program of amd64"}, "etc/passwd": {0o644, users}, "etc/group": {0o644, groups},
		}},
	} {
		t.Run(what, func(t *testing.T) {
			content := mutate.Extract(image(t, amd64, test.certificates))
			defer content.Close()
			got := map[string]entry{}
			for reader := tar.NewReader(content); ; {
				header, err := reader.Next()
				if err == io.EOF { //nolint:errorlint // It is returned as it is.
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				data, err := io.ReadAll(reader)
				if err != nil {
					t.Fatal(err)
				}
				got[header.Name] = entry{header.Mode, string(data)}
				if header.Uid != 0 || header.Gid != 0 || !header.ModTime.Equal(time.Unix(made.seconds, 0)) {
					t.Errorf("%s is of %d:%d and %s", header.Name, header.Uid, header.Gid, header.ModTime)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// The same input makes the same bytes, and other input does not.
func TestReproducible(t *testing.T) {
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := read(archive(t, image(t, amd64, []byte("roots")), image(t, arm64, []byte("roots"))))
	second := read(archive(t, image(t, amd64, []byte("roots")), image(t, arm64, []byte("roots"))))
	if !bytes.Equal(first, second) {
		t.Error("two archives of the same differ")
	}
	if bytes.Equal(first, read(archive(t, image(t, amd64, nil), image(t, arm64, nil)))) {
		t.Error("an archive without certificates is the same as one with them")
	}
}

func TestArchive(t *testing.T) {
	t.Run("one platform", func(t *testing.T) {
		top := unpack(t, archive(t, image(t, amd64, nil)))
		descriptor := only(t, top)
		found, err := top.Image(descriptor.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(found); err != nil {
			t.Error(err)
		}
		if descriptor.Platform == nil || !descriptor.Platform.Equals(amd64) {
			t.Errorf("platform %v", descriptor.Platform)
		}
	})
	t.Run("two platforms", func(t *testing.T) {
		top := unpack(t, archive(t, image(t, amd64, nil), image(t, arm64, nil)))
		found, err := top.ImageIndex(only(t, top).Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(found); err != nil {
			t.Error(err)
		}
		manifest, err := found.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		var platforms []string
		for _, descriptor := range manifest.Manifests {
			platforms = append(platforms, descriptor.Platform.String())
		}
		if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

// only returns the one image or index of an archive, which has its reference.
func only(t *testing.T, index v1.ImageIndex) v1.Descriptor {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("%d manifests", len(manifest.Manifests))
	}
	want := map[string]string{
		"io.containerd.image.name":          "ghcr.io/job-handler/job-handler:v1.2.3",
		"org.opencontainers.image.ref.name": "v1.2.3",
	}
	if diff := cmp.Diff(want, manifest.Manifests[0].Annotations); diff != "" {
		t.Errorf("reference: -want +got\n%s", diff)
	}
	return manifest.Manifests[0]
}

func unpack(t *testing.T, path string) v1.ImageIndex {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for reader := tar.NewReader(in); ; {
		header, err := reader.Next()
		if err == io.EOF { //nolint:errorlint // It is returned as it is.
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := root.MkdirAll(filepath.Dir(header.Name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := root.WriteFile(header.Name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(root.Name())
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func TestRefuses(t *testing.T) {
	for what, args := range map[string][]string{
		"no platform":         {"--ref=localhost/x:1"},
		"no reference":        {"--platforms=linux/amd64"},
		"another system":      {"--ref=localhost/x:1", "--platforms=windows/amd64"},
		"a variant":           {"--ref=localhost/x:1", "--platforms=linux/arm/v7"},
		"missing CA bundle":   {"--ref=localhost/x:1", "--platforms=linux/amd64", "--certificates=/nowhere/ca.crt"},
		"an unknown flag":     {"--what"},
		"not a platform":      {"--ref=localhost/x:1", "--platforms=a/b/c/d/e"},
		"not an architecture": {"--ref=localhost/x:1", "--platforms=linux"},
	} {
		t.Run(what, func(t *testing.T) {
			output := filepath.Join(t.TempDir(), "image.tar")
			if err := run(t.Context(), append(args, "--output="+output)); err == nil {
				t.Error("nothing is wrong")
			}
			if _, err := os.Stat(output); err == nil {
				t.Error("an archive is there")
			}
		})
	}
}

// Labels are what registries show: none is empty.
func TestLabelsOfACopyWithoutGit(t *testing.T) {
	labels := about{version: "v0.0.0-dev", source: "x"}.labels()
	for key, value := range labels {
		if value == "" {
			t.Errorf("%s is empty", key)
		}
	}
	if text, err := json.Marshal(labels); err != nil || bytes.Contains(text, []byte("revision")) {
		t.Errorf("got %s, %v", text, err)
	}
}
