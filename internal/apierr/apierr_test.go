package apierr

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Errors as the API server sends them.
var (
	kind       = schema.GroupKind{Kind: "ConfigMap"}
	errTooLong = apierrors.NewInvalid(kind, "x", field.ErrorList{field.TooLong(field.NewPath(""), "", 1<<20)})
	errInvalid = apierrors.NewInvalid(kind, "x", field.ErrorList{field.Required(field.NewPath("data"), "")})
	errEtcd    = status(http.StatusInternalServerError, "etcdserver: request is too large")
)

func status(code int32, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Message: message}}
}

// The cause counts, not the code, which is that of a refusal.
func TestOfTerminatingNamespace(t *testing.T) {
	err := apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "x", errors.New("unable to create new content"))
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	if got := Of(fmt.Errorf("creating results: %w", err)); got != NotFound {
		t.Errorf("got %s", got)
	}
}

// Every code that a server or somebody's webhook may answer with.
func TestOfCode(t *testing.T) {
	for code, want := range map[int32]Class{
		400: Rejected, 401: Transient, 402: Rejected, 403: Rejected, 404: Transient, 405: Rejected, 408: Transient, 409: Transient, 410: Transient,
		413: Rejected, 418: Rejected, 422: Rejected, 429: Transient, 499: Rejected,
		500: Transient, 502: Transient, 503: Transient, 504: Transient, 302: Transient,
	} {
		if code == http.StatusNotFound {
			want = NotFound
		}
		if code == http.StatusConflict {
			want = Conflict
		}
		if got := Of(statusWithReason(code)); got != want {
			t.Errorf("%d: got %s, want %s", code, got, want)
		}
	}
}

// statusWithReason has the reason that clients look at where the code has one.
func statusWithReason(code int32) error {
	reasons := map[int32]metav1.StatusReason{
		404: metav1.StatusReasonNotFound, 409: metav1.StatusReasonConflict, 403: metav1.StatusReasonForbidden,
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reasons[code], Message: "no",
	}}
}

func TestTooLarge(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":                    {nil, false},
		"413":                        {apierrors.NewRequestEntityTooLargeError(""), true},
		"422, too long":              {errTooLong, true},
		"422, something else":        {errInvalid, false},
		"500 of etcd":                {errEtcd, true},
		"500, something else":        {apierrors.NewInternalError(errors.New("Too long")), false},
		"403 with the words":         {status(http.StatusForbidden, "Too long, request is too large"), false},
		"400 with the words":         {status(http.StatusBadRequest, "request is too large"), false},
		"the words without a status": {errors.New("etcdserver: request is too large"), false},
		"wrapped":                    {fmt.Errorf("creating: %w", errEtcd), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := TooLarge(test.err); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
