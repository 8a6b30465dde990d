package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/policy"
)

// maxWarnings bounds the warnings of an answer. The API server passes on 4 KiB in all.
const maxWarnings = 16

// answerer answers admission requests, and returns how for metrics.
type answerer interface {
	answer(ctx context.Context, request admission.Request) (admission.Response, policy.AdmissionResult)
}

// outOfTheWay admits the object if handler panics, and counts every request.
func outOfTheWay(kind policy.AdmissionKind, counts Metrics, handler answerer) admission.Handler {
	return admission.HandlerFunc(func(ctx context.Context, request admission.Request) admission.Response {
		response, result := answerSafely(ctx, request, handler)
		if counts != nil {
			counts.Answered(kind, result, len(response.Warnings) > 0)
		}
		return response
	})
}

func answerSafely(
	ctx context.Context, request admission.Request, handler answerer,
) (response admission.Response, result policy.AdmissionResult) {
	defer func() {
		if r := recover(); r != nil {
			log.FromContext(ctx).Error(fmt.Errorf("panic: %v", r), "admitting without change", "stack", string(debug.Stack()))
			response, result = unseen(request), policy.AdmissionUnread
		}
	}()
	return handler.answer(ctx, request)
}

// skipped admits an object that is not handled.
func skipped() (admission.Response, policy.AdmissionResult) {
	return admission.Allowed(""), policy.AdmissionSkipped
}

// unread admits an object that could not be decoded or encoded.
func unread(ctx context.Context, request admission.Request, err error) (admission.Response, policy.AdmissionResult) {
	log.FromContext(ctx).Error(err, "admitting without change")
	return unseen(request), policy.AdmissionUnread
}

func unseen(request admission.Request) admission.Response {
	return admission.Allowed("").WithWarnings(
		fmt.Sprintf("Job Handler could not read this %s: admitted as it is", request.Kind.Kind))
}

// refused answers 422 with all errors in one message.
func refused(
	kind schema.GroupKind, name string, errs field.ErrorList, warnings []string,
) (admission.Response, policy.AdmissionResult) {
	status := apierrors.NewInvalid(kind, name, errs).Status()
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Result: &status, Warnings: bounded(warnings),
	}}, policy.AdmissionRefused
}

// patched admits with the difference between two states of one typed object. Comparing
// these, and not the request's bytes with one of them, preserves fields of a newer API
// server that these types do not have.
func patched(before, after any, warnings []string) (admission.Response, error) {
	old, err := json.Marshal(before)
	if err != nil {
		return admission.Response{}, fmt.Errorf("encoding the object received: %w", err)
	}
	changed, err := json.Marshal(after)
	if err != nil {
		return admission.Response{}, fmt.Errorf("encoding the stamped object: %w", err)
	}
	return admission.PatchResponseFromRaw(old, changed).WithWarnings(bounded(warnings)...), nil
}

// warningsOf returns a warning for each value that is ignored.
func warningsOf(object string, errs field.ErrorList) []string {
	warnings := make([]string, 0, len(errs))
	for _, err := range errs {
		value := ""
		if err.BadValue != nil && err.Type != field.ErrorTypeForbidden {
			value = fmt.Sprintf("%q ", err.BadValue)
		}
		warnings = append(warnings, fmt.Sprintf("%s%s: %signored: %s", object, where(err.Field), value, err.Detail))
	}
	return warnings
}

func bounded(warnings []string) []string {
	if len(warnings) <= maxWarnings {
		return warnings
	}
	rest := len(warnings) - maxWarnings + 1
	return append(warnings[:maxWarnings-1:maxWarnings-1], fmt.Sprintf("and %d more warnings of Job Handler", rest))
}
