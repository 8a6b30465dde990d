// Package jobpatch makes the patches that change Jobs and the metadata of
// Namespaces. A patch holds the differences only, and fails if the object has
// changed since it was read.
package jobpatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/policy"
)

// From returns the patch from observed to the object that it is given, with the UID
// and resourceVersion of observed: the server refuses it with a conflict, or as
// invalid, if the Job has changed or is another one under the same name. observed may
// be pruned, if the other state is pruned alike: the patch names each label,
// annotation and finalizer that is to change, so that it never removes one that was
// dropped from the cache.
func From(observed *batchv1.Job) client.Patch {
	return guarded{from: observed, what: "job"}
}

// FromNamespace is From for the metadata of a Namespace.
func FromNamespace(observed *metav1.PartialObjectMetadata) client.Patch {
	return guarded{from: observed, what: "namespace"}
}

type guarded struct {
	from client.Object
	what string
}

// Type is that of a patch that can name single finalizers only where not all of them
// are known: it is the only list that is changed.
func (p guarded) Type() types.PatchType {
	if policy.DroppedOf(p.from).Finalizers {
		return types.StrategicMergePatchType
	}
	return types.MergePatchType
}

func (p guarded) Data(to client.Object) ([]byte, error) {
	data, err := p.data(to)
	if err != nil {
		return nil, fmt.Errorf("computing the patch of %s %s: %w", p.what, client.ObjectKeyFromObject(p.from), err)
	}
	return data, nil
}

func (p guarded) data(to client.Object) ([]byte, error) {
	diff, err := client.MergeFromWithOptions(p.from, client.MergeFromWithOptimisticLock{}).Data(to)
	if err != nil {
		return nil, fmt.Errorf("comparing the states: %w", err)
	}
	var patch map[string]any
	if err := json.Unmarshal(diff, &patch); err != nil {
		return nil, fmt.Errorf("reading the difference: %w", err)
	}
	metadata, ok := patch["metadata"].(map[string]any)
	if !ok {
		return nil, errors.New("it lacks the resourceVersion")
	}
	metadata["uid"] = p.from.GetUID()
	nameKeys(metadata, "labels", p.from.GetLabels())
	nameKeys(metadata, "annotations", p.from.GetAnnotations())
	if p.Type() == types.StrategicMergePatchType {
		nameFinalizers(metadata, p.from.GetFinalizers(), to.GetFinalizers())
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("encoding it: %w", err)
	}
	return data, nil
}

// nameKeys has a patch that removes all labels, or all annotations, remove those that
// were looked at: there may be others.
func nameKeys(metadata map[string]any, field string, from map[string]string) {
	if all, changes := metadata[field]; !changes || all != nil {
		return
	}
	named := make(map[string]any, len(from))
	for key := range from {
		named[key] = nil
	}
	metadata[field] = named
}

// nameFinalizers has a strategic merge patch name the finalizers that come and go in
// place of all of them.
func nameFinalizers(metadata map[string]any, from, to []string) {
	delete(metadata, "finalizers")
	if added := without(to, from); len(added) > 0 {
		metadata["finalizers"] = added
	}
	if removed := without(from, to); len(removed) > 0 {
		metadata["$deleteFromPrimitiveList/finalizers"] = removed
	}
}

// without returns what is in all and not in others.
func without(all, others []string) []string {
	var only []string
	for _, one := range all {
		if !slices.Contains(others, one) {
			only = append(only, one)
		}
	}
	return only
}
