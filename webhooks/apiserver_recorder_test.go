package webhooks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// recorder is a webhook server that remembers every request of the API server.
type recorder struct {
	webhook.Server
	mu    sync.Mutex
	calls []call
}

type call struct{ namespace, path string }

// Register implements webhook.Server.
func (r *recorder) Register(path string, hook http.Handler) {
	r.Server.Register(path, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		review := admissionv1.AdmissionReview{}
		if err != nil || json.Unmarshal(body, &review) != nil || review.Request == nil {
			http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		r.calls = append(r.calls, call{review.Request.Namespace, path})
		r.mu.Unlock()
		request.Body = io.NopCloser(bytes.NewReader(body))
		hook.ServeHTTP(w, request)
	}))
}

// in returns the paths called for objects of the Namespace, in order.
func (r *recorder) in(namespace string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	paths := []string{}
	for _, c := range r.calls {
		if c.namespace == namespace {
			paths = append(paths, c.path)
		}
	}
	return paths
}

const (
	pathOther = "/other"
	otherKey  = "other-webhook"
)

// otherWebhook is somebody else's: it sets a label, which has the API server
// ask those again that want that.
func otherWebhook() http.Handler {
	return &admission.Webhook{Handler: admission.HandlerFunc(func(_ context.Context, request admission.Request) admission.Response {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(request.Object.Raw); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
		object.SetLabels(labels.Merge(object.GetLabels(), labels.Set{otherKey: "was-here"}))
		changed, err := object.MarshalJSON()
		if err != nil {
			return admission.Errored(http.StatusInternalServerError, err)
		}
		return admission.PatchResponseFromRaw(request.Object.Raw, changed)
	})}
}
