package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
)

const (
	// maxKeptValue is how much of an annotation's value a cache keeps. No valid value
	// is longer, but a list of labels: see maxListBytes.
	maxKeptValue = 512
	// maxKeptBytes bounds the annotations that a cache keeps of an object, keys
	// included, and the labels alike.
	maxKeptBytes = 12 << 10
	// maxFinalizers and maxOwners are how many of them a cache keeps of an object.
	maxFinalizers = 32
	maxOwners     = 8
	// maxOwnerField bounds each field of an owner reference. Names have 253 bytes.
	maxOwnerField = 320
)

// cutMark ends a value that was shortened: what is left is no valid value then.
const cutMark = "…"

// Dropped says what Keep dropped from an object's metadata, as far as that matters.
type Dropped struct {
	// AnnotationBytes is what the annotations took that are not there any more.
	AnnotationBytes int
	// Labels is true if labels are missing that may be propagated.
	Labels bool
	// Finalizers is true if finalizers are missing.
	Finalizers bool
	// Selector is true if the selector of a Job is missing that its UID does not tell.
	Selector bool
	// Large is true if the whole object takes the API server long to write.
	Large bool
}

// DroppedOf returns what was dropped from an object that may be a pruned one.
func DroppedOf(object metav1.Object) (d Dropped) {
	if note, noted := object.GetAnnotations()[api.DroppedAnnotation]; noted {
		if _, err := fmt.Sscan(note, &d.AnnotationBytes, &d.Labels, &d.Finalizers, &d.Selector, &d.Large); err != nil {
			return Dropped{}
		}
	}
	return d
}

// Note notes on the object what was dropped from it.
func (d Dropped) Note(object metav1.Object) {
	if d == (Dropped{}) {
		return
	}
	annotations := object.GetAnnotations()
	set(&annotations, api.DroppedAnnotation, fmt.Sprint(d.AnnotationBytes, d.Labels, d.Finalizers, d.Selector, d.Large))
	object.SetAnnotations(annotations)
}

// Keep drops from an object's metadata what decides nothing, so that what is left has
// a few KiB whatever others put on the object. Marks of Defaults.LeftAlone stay, and
// labels that may be propagated, by Defaults.PropagatableLabels, as far as there is room.
// A second call changes nothing.
func Keep(object metav1.Object, defaults Defaults) {
	dropped := DroppedOf(object)
	annotations, bytes := keepAnnotations(object.GetAnnotations(), defaults.LeftAlone)
	object.SetAnnotations(annotations)
	dropped.AnnotationBytes += bytes
	labels, missing := keepLabels(object.GetLabels(), defaults)
	object.SetLabels(labels)
	dropped.Labels = dropped.Labels || missing
	if finalizers := object.GetFinalizers(); len(finalizers) > maxFinalizers {
		object.SetFinalizers(keepFinalizers(finalizers))
		dropped.Finalizers = true
	}
	object.SetOwnerReferences(keepOwners(object.GetOwnerReferences()))
	object.SetManagedFields(KeepManagers(object.GetManagedFields()))
	dropped.Note(object)
}

// keepAnnotations returns the annotations that are looked at, those first that Job
// Handler knows, and how many bytes the others had.
func keepAnnotations(all map[string]string, own LeftAlone) (kept map[string]string, dropped int) {
	known := append(userKeys(), managerKeys()...)
	var keys []string
	for key, value := range all {
		switch {
		case key == api.DroppedAnnotation:
		case Looks(key, own):
			keys = append(keys, key)
		default:
			dropped += len(key) + len(value)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(rank(a, known)-rank(b, known), cmp.Compare(a, b))
	})
	room := maxKeptBytes
	for _, key := range keys {
		value := keptValue(key, all[key])
		if room -= len(key) + len(value); room < 0 {
			dropped += len(key) + len(all[key])
			continue
		}
		dropped += len(all[key]) - len(value)
		set(&kept, key, value)
	}
	if note, noted := all[api.DroppedAnnotation]; noted {
		set(&kept, api.DroppedAnnotation, note)
	}
	return kept, max(0, dropped)
}

// rank puts known keys first, then those of other tools, and last those that only
// look like ours.
func rank(key string, known []string) int {
	switch {
	case slices.Contains(known, key):
		return 0
	case !strings.HasPrefix(key, api.Prefix):
		return 1
	default:
		return 2
	}
}

// keptValue returns a value that is too long to be valid as one that is not valid
// either, by the same rule, and starts alike.
func keptValue(key, value string) string {
	most, kept := maxKeptValue, maxKeptValue-len(cutMark)
	if key == api.PropagateLabelsAnnotation {
		most, kept = maxListBytes, maxListBytes
	}
	if len(value) <= most {
		return value
	}
	return value[:kept] + cutMark
}

// keepLabels returns the labels that are looked at and those that may be propagated,
// and whether some of the latter are missing.
func keepLabels(all map[string]string, defaults Defaults) (kept map[string]string, missing bool) {
	own := defaults.LeftAlone
	var keys []string
	for key := range all {
		if Looks(key, own) || propagatable(key, defaults.PropagatableLabels) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(labelRank(a, own)-labelRank(b, own), cmp.Compare(a, b))
	})
	room := maxKeptBytes
	for _, key := range keys {
		if room -= len(key) + len(all[key]); room < 0 {
			missing = missing || !Looks(key, own)
			continue
		}
		set(&kept, key, all[key])
	}
	return kept, missing
}

func labelRank(key string, own LeftAlone) int {
	switch {
	case key == api.EnabledLabel:
		return 0
	case Looks(key, own) && !strings.HasPrefix(key, api.Prefix):
		return 1
	case !Looks(key, own):
		return 2
	default:
		return 3
	}
}

// decidingFinalizers are those of Job Handler, and those by which Kubernetes says how an
// object is deleted, or that a pod is yet to be counted.
var decidingFinalizers = []string{
	api.ResultsFinalizer, metav1.FinalizerDeleteDependents, metav1.FinalizerOrphanDependents, batchv1.JobTrackingFinalizer,
}

// keepFinalizers returns those that decide something, and the first of the others.
func keepFinalizers(all []string) []string {
	var kept []string
	room := maxFinalizers - len(decidingFinalizers)
	for _, finalizer := range all {
		switch {
		case slices.Contains(kept, finalizer):
		case slices.Contains(decidingFinalizers, finalizer):
			kept = append(kept, finalizer)
		case room > 0:
			kept = append(kept, finalizer)
			room--
		}
	}
	return kept
}

// keepOwners returns the controller and the first of the other owners, each field
// within its bounds.
func keepOwners(all []metav1.OwnerReference) []metav1.OwnerReference {
	if len(all) == 0 {
		return nil
	}
	kept := make([]metav1.OwnerReference, 0, min(len(all), maxOwners))
	controlled := slices.ContainsFunc(all, isController)
	for _, owner := range all {
		room := maxOwners - len(kept)
		if controlled && !isController(owner) {
			room--
		}
		if room <= 0 {
			continue
		}
		controlled = controlled && !isController(owner)
		owner.APIVersion, owner.Kind = within(owner.APIVersion), within(owner.Kind)
		owner.Name, owner.UID = within(owner.Name), owner.UID[:min(len(owner.UID), maxOwnerField)]
		kept = append(kept, owner)
	}
	return kept
}

func isController(owner metav1.OwnerReference) bool {
	return owner.Controller != nil && *owner.Controller
}

func within(s string) string {
	if len(s) <= maxOwnerField {
		return s
	}
	return strings.Clone(s[:maxOwnerField])
}
