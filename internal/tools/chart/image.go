package main

import (
	"fmt"
	"strings"

	"github.com/job-handler/job-handler/internal/api"
)

// image is a reference in parts. Tag or digest may be empty, not both.
type image struct{ repository, tag, digest string }

// imageOf returns the image of a reference, and the bases' own if it is empty.
func (c *chart) imageOf(reference string) (image, error) {
	if reference == "" {
		deployment, err := c.find("Deployment", api.ManagerName)
		if err != nil {
			return image{}, err
		}
		reference = deployment.text("spec", "template", "spec", "containers", "0", "image")
	}
	return parseImage(reference)
}

func parseImage(reference string) (image, error) {
	name, digest, _ := strings.Cut(reference, "@")
	parsed := image{repository: name, digest: digest}
	// A colon before the last slash belongs to a registry's port.
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		parsed.repository, parsed.tag = name[:colon], name[colon+1:]
	}
	if parsed.repository == "" || parsed.tag == "" && parsed.digest == "" {
		return image{}, fmt.Errorf("image %q: must be a name with a tag or a digest", reference)
	}
	return parsed, nil
}
