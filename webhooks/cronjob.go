package webhooks

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/policy"
)

// cronJobHandler validates the Job template of a CronJob, since the Jobs of a controller
// are not refused. It refuses an update only for new errors; errors that the old template
// had become warnings. It ignores templates that opt out.
type cronJobHandler struct {
	defaults     policy.Defaults
	retentionOff bool
}

func (h *cronJobHandler) answer(ctx context.Context, request admission.Request) (admission.Response, policy.AdmissionResult) {
	cronJob, old := &batchv1.CronJob{}, &batchv1.CronJob{}
	if err := json.Unmarshal(request.Object.Raw, cronJob); err != nil {
		return unread(ctx, request, fmt.Errorf("decoding the CronJob: %w", err))
	}
	if request.Operation == admissionv1.Update {
		if err := json.Unmarshal(request.OldObject.Raw, old); err != nil {
			return unread(ctx, request, fmt.Errorf("decoding the CronJob as it was: %w", err))
		}
	}
	fresh, known := h.problems(cronJob, old)
	warnings := append(warningsOf("jobTemplate: ", known), h.warnings(cronJob)...)
	if len(fresh) > 0 {
		name := cmp.Or(cronJob.Name, cronJob.GenerateName)
		return refused(batchv1.SchemeGroupVersion.WithKind("CronJob").GroupKind(), name, fresh, warnings)
	}
	return admission.Allowed("").WithWarnings(bounded(warnings)...), policy.AdmissionChecked
}

// problems returns the errors of the template: new ones, and those that the old template
// had too.
func (h *cronJobHandler) problems(cronJob, old *batchv1.CronJob) (fresh, known field.ErrorList) {
	before := sets.New[string]()
	for _, err := range h.validate(old) {
		before.Insert(err.Error())
	}
	for _, err := range h.validate(cronJob) {
		if before.Has(err.Error()) {
			known = append(known, err)
		} else {
			fresh = append(fresh, err)
		}
	}
	return fresh, known
}

func (h *cronJobHandler) validate(cronJob *batchv1.CronJob) field.ErrorList {
	template := &cronJob.Spec.JobTemplate
	if wish, errs := policy.JobOptIn(template); wish == policy.Out && len(errs) == 0 {
		return nil
	}
	return policy.ValidateJobTemplate(template, h.defaults)
}

func (h *cronJobHandler) warnings(cronJob *batchv1.CronJob) []string {
	template := &cronJob.Spec.JobTemplate
	if wish, _ := policy.JobOptIn(template); wish == policy.Out {
		return nil
	}
	wanted, _ := policy.Resolve(&batchv1.Job{ObjectMeta: template.ObjectMeta}, nil, h.defaults)
	warnings := policy.KeyWarnings(template)
	warnings = append(warnings, ttlWarning(h.retentionOff, wanted, template)...)
	warnings = append(warnings, nameWarning(template)...)
	if wanted.Protect.Wanted {
		return warnings
	}
	return append(warnings, historyWarnings(&cronJob.Spec)...)
}
