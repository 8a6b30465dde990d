package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// userKeys are the annotations that a user may set on a Job, in the order of
// the contract's table.
func userKeys() []string {
	return []string{
		api.EnabledAnnotation, api.ResultsNameAnnotation, api.LogModeAnnotation, api.ResultsKindAnnotation,
		api.ResultsTTLAnnotation, api.DeleteAfterSuccessAnnotation, api.DeleteAfterFailureAnnotation,
		api.PropagateLabelsAnnotation, api.ProtectAnnotation,
	}
}

// managerKeys are the annotations of a Job that the manager alone writes.
func managerKeys() []string {
	return []string{api.CaptureAnnotation, api.StatusAnnotation, api.TTLAnnotation}
}

// KeyWarnings returns a sentence for each label and annotation of a Job that
// has the prefix of Job Handler and no effect: unknown keys, with the one that
// was probably meant or else all of them, and annotations set as labels.
// Annotations come first, each kind sorted by key.
func KeyWarnings(job metav1.Object) []string {
	var warnings []string
	known := append(userKeys(), managerKeys()...)
	for _, key := range ownKeys(job.GetAnnotations()) {
		if !slices.Contains(known, key) {
			warnings = append(warnings, fmt.Sprintf("annotation %s is unknown: %s", key, hint(key)))
		}
	}
	for _, key := range ownKeys(job.GetLabels()) {
		switch {
		case key == api.EnabledLabel:
		case slices.Contains(known, key):
			warnings = append(warnings, fmt.Sprintf("label %s has no effect: set it as an annotation", key))
		default:
			warnings = append(warnings, fmt.Sprintf("label %s is unknown: %s", key, hint(key)))
		}
	}
	return warnings
}

func ownKeys(m map[string]string) []string {
	keys := slices.Sorted(maps.Keys(m))
	return slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, api.Prefix) })
}

func hint(key string) string {
	unknown, candidates := plain(key), userKeys()
	nearest := slices.MinFunc(candidates, func(a, b string) int {
		return distance(unknown, plain(a)) - distance(unknown, plain(b))
	})
	if d := distance(unknown, plain(nearest)); d <= 3 && 2*d < len(unknown) {
		return fmt.Sprintf("did you mean %s?", nearest)
	}
	for i, candidate := range candidates {
		candidates[i] = strings.TrimPrefix(candidate, api.Prefix)
	}
	return fmt.Sprintf("known are %s", strings.Join(candidates, ", "))
}

// plain makes logMode, log_mode and log-mode the same.
func plain(key string) string {
	key = strings.ToLower(strings.TrimPrefix(key, api.Prefix))
	return strings.NewReplacer("-", "", "_", "", ".", "").Replace(key)
}

// distance is the number of bytes to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
