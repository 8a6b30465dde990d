package joblogs

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/job-handler/job-handler/internal/results"
)

// goneTexts are parts of the kubelet's and the API server's 400 answers about a
// container that no longer has a log, or never will.
var goneTexts = []string{
	"previous terminated container",
	"is terminated",
	"is not available",
	"is not valid for pod",
}

// unreachableTexts are parts of the API server's 500 answers when it could not
// reach the kubelet.
var unreachableTexts = []string{"dial tcp", "proxy error", "no route to host", "connection refused"}

// classify returns what err says about a log: what is missing, and whether
// time could heal it. When in doubt it could.
func classify(err error, pod *corev1.Pod) results.Capture {
	if errors.Is(err, errStalled) {
		return retryable(results.ReasonStalled, err.Error())
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return retryable(results.ReasonLogUnavailable, err.Error())
	}
	message := status.Status().Message
	switch code := status.Status().Code; code {
	case http.StatusNotFound:
		return classifyNotFound(message, pod)
	case http.StatusBadRequest:
		if containsAny(message, goneTexts) {
			return notRetryable(results.ReasonContainerGone, message)
		}
	case http.StatusUnauthorized, http.StatusForbidden:
		return retryable(results.ReasonLogForbidden, message)
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return notRetryable(results.ReasonLogNotServed, message)
	default:
		if code >= http.StatusInternalServerError && containsAny(message, unreachableTexts) {
			return retryable(results.ReasonNodeUnreachable, message)
		}
	}
	return retryable(results.ReasonLogUnavailable, message)
}

// classifyNotFound tells by the name that was not found what is gone. The
// kubelet's own 404 names nothing: it may only have restarted.
func classifyNotFound(message string, pod *corev1.Pod) results.Capture {
	notFound := func(name string) bool {
		return strings.Contains(message, fmt.Sprintf("%q not found", name))
	}
	switch {
	case notFound(pod.Name):
		return notRetryable(results.ReasonPodGone, message)
	case notFound(pod.Spec.NodeName):
		return notRetryable(results.ReasonNodeGone, message)
	default:
		return retryable(results.ReasonLogUnavailable, message)
	}
}

// podEvicted is the reason of a pod that the kubelet evicted.
const podEvicted = "Evicted"

// classifyText returns what the kubelet's error text says about a log. It uses
// the same words while its container runtime is away and for a container that
// it removed. It removes all of an evicted pod, and keeps of a container's
// ended instances the last alone; while the runtime is away, the log of that
// one cannot be read either, and both are read again.
func classifyText(message string, t *task) results.Capture {
	switch {
	case !strings.HasPrefix(message, containerUnknown):
		return retryable(results.ReasonLogUnavailable, message)
	case t.superseded:
		return notRetryable(results.ReasonContainerGone, "the kubelet keeps the last ended instance only")
	case t.pod.Status.Reason == podEvicted:
		return notRetryable(results.ReasonContainerGone, "the kubelet removed the containers of the evicted pod")
	default:
		return retryable(results.ReasonLogUnavailable, message)
	}
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
