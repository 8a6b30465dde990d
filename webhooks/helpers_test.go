package webhooks

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

const ttlFloor = time.Hour

// namespaces is a reader that knows one Namespace.
type namespaces struct {
	client.Reader
	namespace *corev1.Namespace
}

func (n namespaces) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	if n.namespace == nil || n.namespace.Name != key.Name {
		return apierrors.NewNotFound(corev1.Resource("namespaces"), key.Name)
	}
	object.(*metav1.PartialObjectMetadata).ObjectMeta = n.namespace.ObjectMeta
	return nil
}

// stuck is a reader that never answers, as a cache that cannot sync.
type stuck struct{ client.Reader }

func (stuck) Get(ctx context.Context, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	<-ctx.Done()
	return ctx.Err()
}

// handlerFor returns the handler of Jobs on the path for labelled Namespaces,
// or on the other one.
func handlerFor(namespaceOptedIn bool, namespace *jobtest.NamespaceBuilder) admission.Handler {
	options := Options{Namespaces: namespaces{}, TTLFloor: ttlFloor}
	if namespace != nil {
		options.Namespaces = namespaces{namespace: namespace.Obj()}
	}
	return served(&jobHandler{Options: options, namespaceOptedIn: namespaceOptedIn})
}

// served returns the handler as it is served.
func served(handler *jobHandler) admission.Handler {
	return outOfTheWay(policy.AdmissionJob, nil, handler)
}

func raw(t *testing.T, object any) runtime.RawExtension {
	t.Helper()
	encoded, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: encoded}
}

func creation(t *testing.T, job *batchv1.Job) admission.Request {
	t.Helper()
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Operation: admissionv1.Create, Namespace: job.Namespace, Name: job.Name,
		Kind:   metav1.GroupVersionKind(batchv1.SchemeGroupVersion.WithKind("Job")),
		Object: raw(t, job),
	}}
}

// admitted returns the Job after the handler's patch, and its warnings.
func admitted(t *testing.T, handler admission.Handler, job *batchv1.Job) (*batchv1.Job, []string) {
	t.Helper()
	return admittedAs(t, handler, job, false)
}

// admittedAs is admitted for a dry run or not.
func admittedAs(t *testing.T, handler admission.Handler, job *batchv1.Job, dryRun bool) (*batchv1.Job, []string) {
	t.Helper()
	request := creation(t, job)
	request.DryRun = &dryRun
	response := handler.Handle(t.Context(), request)
	if err := response.Complete(request); err != nil {
		t.Fatal(err)
	}
	if !response.Allowed {
		t.Fatalf("refused: %s", response.Result.Message)
	}
	patched := &batchv1.Job{}
	if err := json.Unmarshal(applied(t, request.Object.Raw, response.Patch), patched); err != nil {
		t.Fatal(err)
	}
	return patched, response.Warnings
}

func applied(t *testing.T, object, patch []byte) []byte {
	t.Helper()
	if patch == nil {
		return object
	}
	decoded, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		t.Fatal(err)
	}
	result, err := decoded.Apply(object)
	if err != nil {
		t.Fatalf("applying %s: %v", patch, err)
	}
	return result
}
