package results

import (
	"fmt"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
)

// binaryKeys are the keys of binaryData. A Secret has data alone.
var binaryKeys = []string{api.DataLogsGzip}

// Secret returns the content as an immutable Secret of type api.SecretType, as
// ConfigMap does: the same keys, labels and annotations, and the same SHA-256.
func (c *Content) Secret(namespace, name string) *corev1.Secret {
	immutable := true
	data := make(map[string][]byte, len(c.Data)+len(c.BinaryData))
	for key, value := range c.Data {
		data[key] = []byte(value)
	}
	maps.Copy(data, c.BinaryData)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: c.Labels, Annotations: c.Annotations,
		},
		Immutable: &immutable, Type: api.SecretType, Data: data,
	}
}

// FromSecret returns what Content.ConfigMap would have been where secret is
// what Content.Secret was; without a Kind of its own.
func FromSecret(secret *corev1.Secret) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: secret.ObjectMeta, Immutable: secret.Immutable, Data: map[string]string{}}
	for key, value := range secret.Data {
		if !slices.Contains(binaryKeys, key) {
			cm.Data[key] = string(value)
			continue
		}
		if cm.BinaryData == nil {
			cm.BinaryData = map[string][]byte{}
		}
		cm.BinaryData[key] = value
	}
	return cm
}

// VerifySecret is Verify for results in a Secret.
func VerifySecret(secret *corev1.Secret, job *batchv1.Job, pods []types.UID) error {
	if secret.Type != api.SecretType {
		return fmt.Errorf("%w: a Secret of type %q", ErrStranger, secret.Type)
	}
	return Verify(FromSecret(secret), job, pods)
}

// VerifySecretPart is VerifyPart for a part in a Secret.
func VerifySecretPart(secret *corev1.Secret, job *batchv1.Job, want PartRecord) error {
	if secret.Type != api.SecretType {
		return fmt.Errorf("%w: a Secret of type %q", ErrStranger, secret.Type)
	}
	return VerifyPart(FromSecret(secret), job, want)
}
