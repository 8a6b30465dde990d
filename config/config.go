// Package config embeds the manifests that install the manager, for programs that
// run without a checkout. It must not import other packages of Job Handler.
package config

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

//go:generate go run -C ../internal/tools ./manifests ../../config/webhook/manifests.yaml
//go:generate go run -C ../internal/tools ./alerts ../../config/alerts/rules.yaml ../../config/components/prometheus/alerts.yaml
//go:generate cp alerts/rules.yaml chart/job-handler/files/alerts.yaml

// Manifests holds the YAML files of this folder by their paths, such as
// rbac/role.yaml.
//
//go:embed policy/*.yaml rbac/*.yaml webhook/*.yaml components/secret-results/*.yaml
var Manifests embed.FS

// PolicyManifests is the path of the policies that narrow what the manager may
// write. The last of them to take effect is that on ConfigMaps.
const PolicyManifests = "policy/manager_writes.yaml"

// SecretResultsManifests are the paths of the ClusterRole with the rights that
// results in Secrets need, and of the RoleBinding that grants it in a namespace.
var SecretResultsManifests = []string{
	"components/secret-results/cluster_role.yaml", "components/secret-results/role_binding.yaml",
}

// Load returns the objects in the files of Manifests with these paths, in their
// order.
func Load(paths ...string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, path := range paths {
		text, err := Manifests.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading manifest %s: %w", path, err)
		}
		decoded, err := Decode(text)
		if err != nil {
			return nil, fmt.Errorf("decoding manifest %s: %w", path, err)
		}
		objects = append(objects, decoded...)
	}
	return objects, nil
}

// Decode returns the objects of a text of YAML documents; empty documents are
// none.
func Decode(text []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decoding YAML: %w", err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}
