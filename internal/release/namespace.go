package release

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// releaseNamespace returns the Namespace without what the manager wrote on it,
// and what that was in words; nil where it wrote nothing. The label goes only
// if it is marked as set by the manager and still as it was set.
func releaseNamespace(namespace *metav1.PartialObjectMetadata) (*metav1.PartialObjectMetadata, []string) {
	desired := namespace.DeepCopy()
	var done []string
	_, mirrored := namespace.Annotations[api.EnabledMirroredAnnotation]
	marked := namespace.Annotations[api.EnabledMirroredAnnotation] == api.True
	if marked && namespace.Labels[api.EnabledLabel] == api.True {
		delete(desired.Labels, api.EnabledLabel)
		done = append(done, "label "+api.EnabledLabel+" removed")
	}
	if mirrored {
		done = append(done, "annotation "+api.EnabledMirroredAnnotation+" removed")
	}
	if _, since := namespace.Annotations[api.EnabledSinceAnnotation]; since {
		done = append(done, "annotation "+api.EnabledSinceAnnotation+" removed")
	}
	if len(done) == 0 {
		return nil, nil
	}
	maps.DeleteFunc(desired.Annotations, func(key, _ string) bool {
		return key == api.EnabledMirroredAnnotation || key == api.EnabledSinceAnnotation
	})
	return desired, done
}

// holdsNamespace reports whether releaseNamespace would change the Namespace.
func holdsNamespace(namespace *metav1.PartialObjectMetadata) bool {
	desired, _ := releaseNamespace(namespace)
	return desired != nil
}
