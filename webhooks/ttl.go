package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/policy"
)

// ttlHandler records a changed ttlSecondsAfterFinished of a stamped Job as the user's
// own, and raises it to the floor within the same request. The client stays the owner of
// the field, so that its next server-side apply has no conflict, and an apply of the same
// value changes nothing.
type ttlHandler struct{ Options }

func (h *ttlHandler) answer(ctx context.Context, request admission.Request) (admission.Response, policy.AdmissionResult) {
	if request.Operation != admissionv1.Update || request.SubResource != "" ||
		slices.Contains(h.ExcludedNamespaces, request.Namespace) {
		return skipped()
	}
	job, old := &batchv1.Job{}, &batchv1.Job{}
	if err := json.Unmarshal(request.Object.Raw, job); err != nil {
		return unread(ctx, request, fmt.Errorf("decoding the Job: %w", err))
	}
	if err := json.Unmarshal(request.OldObject.Raw, old); err != nil {
		return unread(ctx, request, fmt.Errorf("decoding the Job as it was: %w", err))
	}
	before := job.DeepCopy()
	if !policy.StampUpdate(old, job, h.TTLFloor, h.Defaults.LeftAlone) {
		return skipped()
	}
	response, err := patched(before, job, nil)
	if err != nil {
		return unread(ctx, request, err)
	}
	return response, policy.AdmissionStamped
}
