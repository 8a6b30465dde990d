package jobtest

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NamespaceBuilder builds a Namespace.
type NamespaceBuilder struct{ namespace corev1.Namespace }

// MakeNamespace returns the builder of a Namespace.
func MakeNamespace(name string) *NamespaceBuilder {
	return &NamespaceBuilder{corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}}
}

// Obj returns the Namespace.
func (b *NamespaceBuilder) Obj() *corev1.Namespace { return &b.namespace }

// Label sets one label.
func (b *NamespaceBuilder) Label(key, value string) *NamespaceBuilder {
	put(&b.namespace.Labels, key, value)
	return b
}

// Annotation sets one annotation.
func (b *NamespaceBuilder) Annotation(key, value string) *NamespaceBuilder {
	put(&b.namespace.Annotations, key, value)
	return b
}
