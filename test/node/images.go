package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// The images that a node has from the start.
const (
	// ShellImage has a shell with busybox's usual commands. Like every image
	// here it is in no registry: a pod that uses it needs the imagePullPolicy
	// Never or IfNotPresent.
	ShellImage = "localhost/busybox:1"

	// shellAlias is ShellImage under a name of busybox's official image, so that
	// manifests written for other clusters run here as they are.
	shellAlias = "docker.io/library/busybox:1.36"

	pauseImage = "localhost/pause:1"
)

// LoadImage puts an image on the node under the reference, such as
// localhost/manager:dev, in place of one that has it.
func (c *Cluster) LoadImage(ctx context.Context, ref string, image v1.Image) error {
	archive := c.Folder().Path("node", "image-"+rand.Text()+".tar")
	defer os.Remove(archive)
	if err := writeArchive(archive, image, ref); err != nil {
		return err
	}
	return c.LoadArchive(ctx, archive)
}

// LoadArchive puts the images of an archive, as docker save and crane write
// it, on the node under the references in it.
func (c *Cluster) LoadArchive(ctx context.Context, path string) error {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	err = c.Run(ctx, ctr, c.ctr(), "--address", c.socket(), "--namespace", "k8s.io", "images", "import", absolute)
	if err != nil {
		return fmt.Errorf("loading images from %s: %w", path, err)
	}
	return nil
}

// writeArchive writes an image that has every one of the references.
func writeArchive(path string, image v1.Image, refs ...string) error {
	images := map[name.Tag]v1.Image{}
	for _, ref := range refs {
		tag, err := name.NewTag(ref)
		if err != nil {
			return fmt.Errorf("reading the reference of an image: %w", err)
		}
		images[tag] = image
	}
	if err := tarball.MultiWriteToFile(path, images); err != nil {
		return fmt.Errorf("writing image %s: %w", refs[0], err)
	}
	return nil
}
