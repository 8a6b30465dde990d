// Command image builds the manager's image without a container engine: a static
// program in an otherwise empty image, as an OCI archive that docker load, podman
// load, kind load image-archive and containerd take. The same commit, Go release and
// certificates give the same bytes. The Dockerfile makes an equivalent image with an
// engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1) //nolint:gocritic // Nothing is left to be done by stop.
	}
}

// request is what the flags ask for.
type request struct {
	ref          string
	platforms    []string
	output       string
	root         string
	certificates string
	about        about
}

func parse(args []string) (request, error) {
	var r request
	flags := pflag.NewFlagSet("image", pflag.ContinueOnError)
	flags.StringVar(&r.ref, "ref", "", "Reference of the image, such as ghcr.io/owner/name:v1.0.0.")
	flags.StringSliceVar(&r.platforms, "platforms", nil, "Platforms, such as linux/amd64,linux/arm64.")
	flags.StringVar(&r.output, "output", "image.tar", "File to write.")
	flags.StringVar(&r.root, "root", "../..", "Folder of the project's source.")
	flags.StringVar(&r.certificates, "certificates", firstBundle(),
		"Bundle of CA certificates to put into the image; empty for none.")
	flags.StringVar(&r.about.version, "version", "v0.0.0-dev", "Version of the program.")
	flags.StringVar(&r.about.revision, "revision", "", "Commit that it is built from.")
	flags.StringVar(&r.about.source, "source", "https://github.com/job-handler/job-handler", "Where the source is.")
	flags.Int64Var(&r.about.seconds, "time", 0, "Time of the image and its files, in seconds since 1970.")
	if err := flags.Parse(args); err != nil {
		return r, err
	}
	if len(r.platforms) == 0 {
		return r, errors.New("--platforms: name at least one")
	}
	return r, nil
}

func run(ctx context.Context, args []string) error {
	r, err := parse(args)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(r.ref)
	if err != nil {
		return fmt.Errorf("reading --ref: %w", err)
	}
	work, err := os.MkdirTemp("", "job-handler-image-")
	if err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	defer os.RemoveAll(work)
	images, err := r.images(ctx, work)
	if err != nil {
		return err
	}
	if err := writeArchive(r.output, tag, images); err != nil {
		return fmt.Errorf("writing %s: %w", r.output, err)
	}
	fmt.Printf("wrote %s: %s for %s\n", r.output, tag, strings.Join(r.platforms, ", "))
	return nil
}

// images returns an image for each platform.
func (r *request) images(ctx context.Context, work string) ([]v1.Image, error) {
	var certificates []byte
	if r.certificates == "" {
		fmt.Println("no bundle of CA certificates: the image has none")
	} else {
		data, err := os.ReadFile(r.certificates)
		if err != nil {
			return nil, fmt.Errorf("reading CA certificates: %w", err)
		}
		certificates = data
	}
	images := make([]v1.Image, 0, len(r.platforms))
	for _, text := range r.platforms {
		platform, err := v1.ParsePlatform(text)
		if err != nil || platform.OS != "linux" || platform.Architecture == "" || platform.Variant != "" {
			return nil, fmt.Errorf("platform %q: want linux/<architecture>", text)
		}
		program, err := buildProgram(ctx, r.root, work, *platform, r.about.version)
		if err != nil {
			return nil, err
		}
		image, err := newImage(*platform, program, certificates, r.about)
		if err != nil {
			return nil, fmt.Errorf("making the image for %s: %w", text, err)
		}
		images = append(images, image)
	}
	return images, nil
}
