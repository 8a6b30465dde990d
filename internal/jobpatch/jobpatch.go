// Package jobpatch makes the patches by which Jobs are changed: only what
// differs, and only if the Job is still the one that was looked at.
package jobpatch

import (
	"encoding/json"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// From returns the merge patch from observed to the object that it is given,
// with the UID and resourceVersion of observed: the server refuses it with a
// conflict, or as invalid, if the Job has changed or is another one under the
// same name. observed may be pruned, if the other state is pruned alike.
func From(observed *batchv1.Job) client.Patch {
	return guarded{from: observed}
}

type guarded struct{ from *batchv1.Job }

func (p guarded) Type() types.PatchType { return types.MergePatchType }

func (p guarded) Data(to client.Object) ([]byte, error) {
	diff, err := client.MergeFromWithOptions(p.from, client.MergeFromWithOptimisticLock{}).Data(to)
	if err != nil {
		return nil, fmt.Errorf("computing the patch of job %s/%s: %w", p.from.Namespace, p.from.Name, err)
	}
	var patch map[string]any
	if err := json.Unmarshal(diff, &patch); err != nil {
		return nil, fmt.Errorf("reading the patch of job %s/%s: %w", p.from.Namespace, p.from.Name, err)
	}
	metadata, ok := patch["metadata"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("patch of job %s/%s lacks its resourceVersion", p.from.Namespace, p.from.Name)
	}
	metadata["uid"] = p.from.UID
	data, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("encoding the patch of job %s/%s: %w", p.from.Namespace, p.from.Name, err)
	}
	return data, nil
}
