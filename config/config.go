// Package config holds the manifests by which the manager is installed, for
// programs that install it without a checkout at hand.
package config

import "embed"

//go:generate go run ../internal/tools/manifests webhook/manifests.yaml

// Manifests holds the YAML files of this folder by their paths, such as
// rbac/role.yaml.
//
//go:embed rbac/*.yaml webhook/*.yaml
var Manifests embed.FS
