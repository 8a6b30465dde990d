package policy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/job-handler/job-handler/internal/api"
)

// OptIn is what one object, a Job or a Namespace, says about being handled.
type OptIn int

const (
	// Unset says nothing: for a Job its Namespace decides, a Namespace is not
	// opted in.
	Unset OptIn = iota
	// In asks to be handled.
	In
	// Out asks to be left alone.
	Out
)

// JobOptIn returns what the Job's own metadata says. The label beats the
// annotation; an invalid value is reported and counts as not set.
func JobOptIn(job metav1.Object) (OptIn, field.ErrorList) {
	return optIn(job, metadataPath)
}

// NamespaceOptIn returns what the Namespace's metadata says, by the same rules
// as JobOptIn.
func NamespaceOptIn(namespace metav1.Object) (OptIn, field.ErrorList) {
	return optIn(namespace, metadataPath)
}

// Handled reports whether a Job is handled: it beats its Namespace.
func Handled(job, namespace OptIn) bool {
	return job == In || job == Unset && namespace == In
}

func optIn(object metav1.Object, metadata *field.Path) (OptIn, field.ErrorList) {
	var errs field.ErrorList
	label := readOptIn(object.GetLabels(), metadata.Child("labels").Key(api.EnabledLabel), api.EnabledLabel, &errs)
	annotation := readOptIn(object.GetAnnotations(), metadata.Child("annotations").Key(api.EnabledAnnotation), api.EnabledAnnotation, &errs)
	if label != Unset {
		return label, errs
	}
	return annotation, errs
}

func readOptIn(from map[string]string, path *field.Path, key string, errs *field.ErrorList) OptIn {
	value, set := from[key]
	switch {
	case !set:
		return Unset
	case value == api.True:
		return In
	case value == api.False:
		return Out
	default:
		*errs = append(*errs, field.NotSupported(path, shown(value), []string{api.True, api.False}))
		return Unset
	}
}
