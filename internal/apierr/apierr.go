// Package apierr classifies errors of the API server by what to do about them. It
// must not import a client. Controllers decide how long to wait.
package apierr

import (
	"errors"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Class is a class of errors that are answered alike.
type Class string

const (
	// NotFound means that the object, or its namespace, is not there any more. Stop.
	NotFound Class = "gone"
	// Conflict means that what was decided about is an old state. Observe again.
	Conflict Class = "conflict"
	// Rejected means that a quota, missing rights, a policy or somebody's webhook
	// says no, for people to mend. Retry slowly; others are not affected.
	Rejected Class = "refused"
	// Transient means that the API server is busy or away. Retry with backoff.
	Transient Class = "passing"
)

// Of returns the class of err. What did not come from the API server, such as
// a refused connection, is passing.
func Of(err error) Class {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsNotFound(err):
		return NotFound
	case apierrors.IsConflict(err):
		return Conflict
	case TooLarge(err), refusal(code(err)):
		return Rejected
	default:
		return Transient
	}
}

// refusal reports whether the code says that the request itself is not wanted.
// A webhook may deny with any code, 400 if it names none. 410 ends a list that
// took too long: it begins anew.
func refusal(code int32) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusGone, http.StatusTooManyRequests:
		return false
	default:
		return code >= http.StatusBadRequest && code < http.StatusInternalServerError
	}
}

// Cause is what refused a request. Each deserves a Warning of its own.
type Cause string

const (
	// CauseQuota is a quota of the namespace.
	CauseQuota Cause = "quota"
	// CauseRights means that the manager lacks a right, or that a policy forbids it.
	CauseRights Cause = "rights"
	// CauseSize means that the object is too large for the API server or etcd.
	CauseSize Cause = "size"
	// CauseOther is anything else, such as an admission webhook.
	CauseOther Cause = "other"
)

// CauseOf returns what refused the request that failed with err.
func CauseOf(err error) Cause {
	switch {
	case strings.Contains(err.Error(), "exceeded quota"):
		return CauseQuota
	case apierrors.IsForbidden(err):
		return CauseRights
	case TooLarge(err):
		return CauseSize
	default:
		return CauseOther
	}
}

// TooLarge reports whether the server refused an object for its size: by its
// own limits (413, 422) or etcd's, which arrives as a 500 without a reason.
func TooLarge(err error) bool {
	switch code(err) {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusUnprocessableEntity:
		return strings.Contains(err.Error(), "Too long")
	case http.StatusInternalServerError:
		return strings.Contains(err.Error(), "request is too large")
	default:
		return false
	}
}

// code returns the HTTP status of err, 0 if it has none.
func code(err error) int32 {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return 0
	}
	return status.Status().Code
}
