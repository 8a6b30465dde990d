package policy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Keys by which other tools mark what they look after.
const (
	argoTrackingAnnotation = "argocd.argoproj.io/tracking-id"
	argoHookAnnotation     = "argocd.argoproj.io/hook"
	fluxKustomizeLabel     = "kustomize.toolkit.fluxcd.io/name"
	fluxHelmLabel          = "helm.toolkit.fluxcd.io/name"
	helmReleaseAnnotation  = "meta.helm.sh/release-name"
	helmHookAnnotation     = "helm.sh/hook"
)

// Tracked reports whether a tool keeps the object as its source describes it,
// and the tool's name. Such a tool makes a deleted Job again and takes a
// changed spec for drift.
func Tracked(object metav1.Object) (tool string, tracked bool) {
	labels, annotations := object.GetLabels(), object.GetAnnotations()
	switch {
	case has(annotations, argoTrackingAnnotation):
		return "Argo CD", true
	case has(labels, fluxKustomizeLabel), has(labels, fluxHelmLabel):
		return "Flux", true
	case has(annotations, helmReleaseAnnotation):
		return "Helm", true
	default:
		return "", false
	}
}

// Hook reports whether the object is a hook of a tool, which waits for it and
// deletes it by rules of its own, and the tool's name.
func Hook(object metav1.Object) (tool string, hook bool) {
	annotations := object.GetAnnotations()
	switch {
	case has(annotations, helmHookAnnotation):
		return "Helm", true
	case has(annotations, argoHookAnnotation):
		return "Argo CD", true
	default:
		return "", false
	}
}

func has(m map[string]string, key string) bool {
	_, ok := m[key]
	return ok
}
