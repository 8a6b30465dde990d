package deploy

import (
	"bytes"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func deployerWith(objects ...client.Object) (*Deployer, *bytes.Buffer) {
	out := &bytes.Buffer{}
	return &Deployer{client: fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).Build(), out: out}, out
}

var labels = map[string]string{"app": "manager"}

func deployment(generation, observed int64, status appsv1.DeploymentStatus) *appsv1.Deployment {
	status.ObservedGeneration = observed
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "manager", Generation: generation},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: labels}},
		Status:     status,
	}
}

func TestRollout(t *testing.T) {
	stuck := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "manager-1", Labels: labels},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"},
		}}}},
	}
	other := stuck.DeepCopy()
	other.Name, other.Labels = "other", nil
	tests := map[string]struct {
		deployment *appsv1.Deployment
		want       string
	}{
		"complete": {
			deployment: deployment(3, 3, appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2}),
		},
		"status of an older generation": {
			deployment: deployment(3, 2, appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2}),
			want:       "deployment.apps/manager has 0 of 2 replicas ready; pod manager-1: ErrImagePull: no such image",
		},
		"an old replica is left": {
			deployment: deployment(3, 3, appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 2, AvailableReplicas: 3}),
			want:       "deployment.apps/manager has 2 of 2 replicas ready, and 1 older; pod manager-1: ErrImagePull: no such image",
		},
		"one is not available": {
			deployment: deployment(3, 3, appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 1}),
			want:       "deployment.apps/manager has 1 of 2 replicas ready; pod manager-1: ErrImagePull: no such image",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, _ := deployerWith(test.deployment, stuck, other)
			got, err := d.rollout(client.ObjectKeyFromObject(test.deployment))(t.Context())
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func certificate(conditions ...any) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	if len(conditions) > 0 {
		object.Object = map[string]any{"status": map[string]any{"conditions": conditions}}
	}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"})
	object.SetNamespace("system")
	object.SetName("webhook")
	return object
}

func TestCertificate(t *testing.T) {
	condition := func(kind, status, message string) map[string]any {
		return map[string]any{"type": kind, "status": status, "message": message}
	}
	tests := map[string]struct {
		conditions []any
		want       string
	}{
		"new": {want: "certificate.cert-manager.io/webhook is not issued: cert-manager has not looked at it"},
		"issuing": {
			conditions: []any{condition("Issuing", "True", "working"), condition("Ready", "False", "no Secret")},
			want:       "certificate.cert-manager.io/webhook is not issued: no Secret",
		},
		"issued": {conditions: []any{condition("Ready", "True", "")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := certificate(test.conditions...)
			d, _ := deployerWith(object)
			got, err := d.certificate(object)(t.Context())
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestNothingIsChangedWhereKindsAreMissing(t *testing.T) {
	d, out := deployerWith()
	namespace := &unstructured.Unstructured{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	namespace.SetName("system")
	issuer := certificate()
	issuer.SetKind("Issuer")
	err := d.Deploy(t.Context(), []*unstructured.Unstructured{namespace, certificate(), certificate(), issuer}, false)
	if err == nil {
		t.Fatal("deployed without cert-manager")
	}
	if got := strings.Count(err.Error(), "install cert-manager first"); got != 2 {
		t.Errorf("a remedy for each missing kind once, got %d: %v", got, err)
	}
	if out.Len() > 0 {
		t.Errorf("something was done: %s", out)
	}
}
