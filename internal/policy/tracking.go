package policy

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// Keys by which other tools mark what they look after.
const (
	argoTrackingAnnotation = "argocd.argoproj.io/tracking-id"
	argoInstanceLabel      = "argocd.argoproj.io/instance"
	argoHookAnnotation     = "argocd.argoproj.io/hook"
	instanceLabel          = "app.kubernetes.io/instance"
	fluxKustomizeLabel     = "kustomize.toolkit.fluxcd.io/name"
	fluxHelmLabel          = "helm.toolkit.fluxcd.io/name"
	helmReleaseAnnotation  = "meta.helm.sh/release-name"
	helmHookAnnotation     = "helm.sh/hook"
)

// mark is one row of the table of marks: the object has every part that is set.
// A name that ends in * stands for all that start with what is before it.
type mark struct {
	tool string
	// label and annotation are keys.
	label, annotation string
	// value is what the label or annotation holds; empty: anything.
	value string
	// manager is a field manager of the object.
	manager string
	// source is where the tool's documents or sources say so.
	source string
}

// marks are the marks of tools that keep an object as a source describes it, the
// first match wins.
var marks = []mark{
	{tool: "Argo CD", annotation: argoTrackingAnnotation, source: "https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/"},
	{tool: "Argo CD", label: argoInstanceLabel, source: "https://argo-cd.readthedocs.io/en/stable/faq/ (application.instanceLabelKey)"},
	// Argo CD before 3.0 has no other mark by default. Helm charts and people set the
	// label too, so that it counts only where Argo CD wrote the object. The second name
	// is the one of releases before 2.5.
	{tool: "Argo CD", label: instanceLabel, manager: "argocd-controller", source: "argoproj/argo-cd common/common.go (ArgoCDSSAManager)"},
	{tool: "Argo CD", label: instanceLabel, manager: "argocd-application-controller", source: "argoproj/argo-cd cmd (name of the program)"},
	{tool: "Flux", label: fluxKustomizeLabel, source: "https://fluxcd.io/flux/components/kustomize/kustomizations/"},
	{tool: "Flux", label: fluxHelmLabel, source: "https://fluxcd.io/flux/components/helm/helmreleases/"},
	{tool: "Helm", annotation: helmReleaseAnnotation, source: "https://helm.sh/docs/topics/charts_hooks/ and helm/helm pkg/action/validate.go"},
	{tool: "Rancher Fleet", label: "objectset.rio.cattle.io/*", source: "rancher/wrangler pkg/apply (LabelHash)"},
	{tool: "Rancher Fleet", annotation: "objectset.rio.cattle.io/*", source: "rancher/wrangler pkg/apply (LabelID)"},
	{tool: "Config Sync", annotation: "configmanagement.gke.io/managed", value: "enabled", source: "https://cloud.google.com/kubernetes-engine/enterprise/config-sync/docs/how-to/managing-objects"},
	{tool: "Config Sync", annotation: "configsync.gke.io/*", source: "https://cloud.google.com/kubernetes-engine/enterprise/config-sync/docs/how-to/managing-objects"},
	{tool: "kapp", label: "kapp.k14s.io/app", source: "https://carvel.dev/kapp/docs/latest/diff/"},
	{tool: "kubectl apply --applyset", label: "applyset.kubernetes.io/part-of", source: "https://kubernetes.io/docs/reference/labels-annotations-taints/#applyset-kubernetes-io-part-of"},
	{tool: "MultiKueue", label: "kueue.x-k8s.io/multikueue-origin", source: "kubernetes-sigs/kueue apis/kueue/v1beta1/multikueue_types.go (MultiKueueOriginLabel)"},
	{tool: "Crossplane", label: "crossplane.io/composite", source: "https://docs.crossplane.io/latest/composition/compositions/"},
	{tool: "Crossplane", manager: "provider-kubernetes/*", source: "crossplane-contrib/provider-kubernetes internal/controller (ssaFieldOwner)"},
	{tool: "Crossplane", manager: "crossplane-kubernetes-provider", source: "crossplane-contrib/provider-kubernetes internal/controller/fieldmanager.go (name of the program)"},
	{tool: "Terraform", manager: "Terraform", source: "https://registry.terraform.io/providers/hashicorp/kubernetes/latest/docs/resources/manifest (field_manager)"},
	{tool: "Terraform", manager: "HashiCorp", source: "hashicorp/terraform-provider-kubernetes kubernetes/provider.go (UserAgent)"},
	{tool: "Pulumi", manager: "pulumi-kubernetes*", source: "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/"},
}

// Tracked reports whether a tool keeps the object as its source describes it,
// and the tool's name, or, where own says so, the operator's mark. Such a tool makes
// a deleted Job again and takes a changed spec for drift. It looks at labels,
// annotations and, where they are there, the names of field managers: see
// KeepManagers.
func Tracked(object metav1.Object, own LeftAlone) (tool string, tracked bool) {
	for i := range marks {
		if marks[i].on(object) {
			return marks[i].tool, true
		}
	}
	return own.on(object)
}

func (m *mark) on(object metav1.Object) bool {
	return (m.label == "" || holds(object.GetLabels(), m.label, m.value)) &&
		(m.annotation == "" || holds(object.GetAnnotations(), m.annotation, m.value)) &&
		(m.manager == "" || slices.ContainsFunc(object.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
			return named(m.manager, entry.Manager)
		}))
}

// holds reports whether a key of m is the one named, or among those named, and has
// the value; an empty one is any.
func holds(m map[string]string, name, value string) bool {
	if !strings.HasSuffix(name, "*") {
		found, there := m[name]
		return there && (value == "" || value == found)
	}
	for key, found := range m {
		if named(name, key) && (value == "" || value == found) {
			return true
		}
	}
	return false
}

// named reports whether s is the name, or starts as it says with a trailing *.
func named(name, s string) bool {
	start, open := strings.CutSuffix(name, "*")
	return s == start || open && strings.HasPrefix(s, start)
}

// Looks reports whether a label or annotation of a Job with this key may decide
// something: keys of Job Handler, marks of other tools and of the operator, and the
// labels that Kubernetes gives Jobs. A cache that drops labels or annotations keeps these, and
// besides them the labels that users may propagate.
func Looks(key string, own LeftAlone) bool {
	if own.looks(key) || strings.HasPrefix(key, api.Prefix) || slices.Contains(jobLabels, key) || slices.Contains(hookKeys, key) {
		return true
	}
	return slices.ContainsFunc(marks, func(m mark) bool {
		return m.label != "" && named(m.label, key) || m.annotation != "" && named(m.annotation, key)
	})
}

// KeepManagers returns of an object's managed fields the names of those managers
// that Tracked looks for, without the fields themselves; nil where there is none.
func KeepManagers(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range entries {
		known := slices.ContainsFunc(marks, func(m mark) bool { return m.manager != "" && named(m.manager, entry.Manager) })
		twice := slices.ContainsFunc(kept, func(other metav1.ManagedFieldsEntry) bool { return other.Manager == entry.Manager })
		if known && !twice {
			kept = append(kept, metav1.ManagedFieldsEntry{Manager: entry.Manager})
		}
	}
	return kept
}

var hookKeys = []string{helmHookAnnotation, argoHookAnnotation}

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
