package webhooks

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/policy"
)

// namespaceTimeout is the part of the webhook's own timeout for reading the Namespace. It
// comes from a cache, except right after a start.
const namespaceTimeout = time.Second

// jobHandler defaults and validates a Job that is being created, in one call.
//
// A Job that is not opted in is admitted unchanged; one that opts out by annotation gets
// the label for it. The handler stamps a Job that is opted in, and removes values that
// only the manager writes. It refuses invalid values, unless a controller made the Job: a
// refusal would stop production, so they become warnings. Invalid values of the Namespace
// are always warnings. Sending the stamped Job again changes nothing.
//
// It also answers the manager's self-test, although its Namespace is excluded: a dry run
// of a Job with SelfTestLabel. The answer repeats SelfTestAnnotation.
type jobHandler struct {
	Options
	namespaceOptedIn bool
}

func (h *jobHandler) answer(ctx context.Context, request admission.Request) (admission.Response, policy.AdmissionResult) {
	if request.Operation != admissionv1.Create || request.SubResource != "" {
		return skipped()
	}
	excluded := slices.Contains(h.ExcludedNamespaces, request.Namespace)
	if excluded && !isDryRun(request) {
		return skipped()
	}
	job := &batchv1.Job{}
	if err := json.Unmarshal(request.Object.Raw, job); err != nil {
		return unread(ctx, request, fmt.Errorf("decoding the Job: %w", err))
	}
	if excluded && job.Labels[api.SelfTestLabel] != api.True {
		return skipped()
	}
	before := job.DeepCopy()
	errs, warnings := h.review(job, h.namespace(ctx, request.Namespace))
	if len(errs) > 0 && len(job.OwnerReferences) == 0 {
		name := cmp.Or(job.Name, job.GenerateName)
		return refused(batchv1.SchemeGroupVersion.WithKind("Job").GroupKind(), name, errs, warnings)
	}
	result := resultFor(job)
	if excluded {
		result = policy.AdmissionSelfTest
		// Only the manager reads the warnings, and logs them.
		warnings = nil
		metav1.SetMetaDataAnnotation(&job.ObjectMeta, api.SelfTestAnswerAnnotation, job.Annotations[api.SelfTestAnnotation])
	}
	response, err := patched(before, job, append(warningsOf("", errs), warnings...))
	if err != nil {
		return unread(ctx, request, err)
	}
	return response, result
}

// resultFor returns whether a reviewed Job is handled from now on: then it has the stamp.
func resultFor(job *batchv1.Job) policy.AdmissionResult {
	if job.Labels[api.EnabledLabel] == api.True {
		return policy.AdmissionStamped
	}
	return policy.AdmissionSkipped
}

func isDryRun(request admission.Request) bool { return request.DryRun != nil && *request.DryRun }

// review stamps the Job, and returns its invalid values and warnings.
func (h *jobHandler) review(job *batchv1.Job, namespace metav1.Object) (field.ErrorList, []string) {
	jobWish, errs := policy.JobOptIn(job)
	namespaceWish, namespaceErrs := policy.NamespaceOptIn(namespace)
	if h.namespaceOptedIn {
		namespaceWish = policy.In
	}
	if !policy.Handled(jobWish, namespaceWish) {
		if jobWish == policy.Out {
			policy.LabelName(job)
			metav1.SetMetaDataLabel(&job.ObjectMeta, api.EnabledLabel, api.False)
		}
		return errs, nil
	}

	var warnings []string
	for _, key := range policy.StripForged(job, h.TTLFloor, h.Defaults.LeftAlone) {
		warnings = append(warnings, fmt.Sprintf("annotation %s removed: Job Handler alone sets it", key))
	}
	wanted, problems := policy.Resolve(job, namespace.GetAnnotations(), h.Defaults)
	warnings = append(warnings, policy.KeyWarnings(job)...)
	warnings = append(warnings, warningsOf("Namespace ", append(namespaceErrs, problems.Namespace...))...)
	warnings = append(warnings, ttlWarning(h.RetentionOff, wanted, job, namespace)...)
	policy.LabelName(job)
	policy.Stamp(job, h.TTLFloor, true, h.Defaults.LeftAlone)
	if policy.Protect(job, wanted.Protect.Wanted) && !wanted.Protect.Wanted {
		warnings = append(warnings, fmt.Sprintf("finalizer %s removed: set annotation %s instead", api.ResultsFinalizer, api.ProtectAnnotation))
	}
	return append(errs, problems.Job...), warnings
}

// namespace returns the Namespace's metadata, empty if it cannot be read.
func (h *jobHandler) namespace(ctx context.Context, name string) metav1.Object {
	namespace := policy.NewNamespace()
	ctx, cancel := context.WithTimeout(ctx, namespaceTimeout)
	defer cancel()
	if err := h.Namespaces.Get(ctx, types.NamespacedName{Name: name}, namespace); err != nil {
		log.FromContext(ctx).V(1).Info("admitting without the defaults of the Namespace", "reason", err.Error())
		return &metav1.PartialObjectMetadata{}
	}
	return namespace
}
