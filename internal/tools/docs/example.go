package main

import (
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// exampleFile is what a run on a cluster left behind: of a CronJob's Job whose
// first pod failed, and whose second one reported results of its own. The story
// "reports" of test/e2e runs it again, compares, and writes it.
const exampleFile = "../../../docs/example-results.yaml"

func readExample() (*corev1.ConfigMap, error) {
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		return nil, fmt.Errorf("reading the example: %w", err)
	}
	example := &corev1.ConfigMap{}
	if err := yaml.UnmarshalStrict(text, example); err != nil {
		return nil, fmt.Errorf("reading the example %s: %w", exampleFile, err)
	}
	return example, nil
}
